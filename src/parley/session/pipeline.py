"""The one list: which processors a call runs through, in the order that never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar, cast, runtime_checkable

from pipecat.frames.frames import DataFrame, Frame, LLMFullResponseEndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMAssistantAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.engines.fallback.chain import Tell
from parley.engines.fallback.limits import ChainLimits, StageLimits
from parley.engines.llm.guarding import ChatLimits, Guard
from parley.engines.llm.live import LiveChat, outcome_of
from parley.engines.llm.reply_wish import HandedBack
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    SpeechOptions,
    Synthesizer,
    TranscribeOptions,
    Transcriber,
)
from parley.engines.stt.live import LiveTranscriber
from parley.engines.tts.live import LiveSpeech
from parley.session.items import Items
from parley.session.marks import HeardFrame, MarkFrame
from parley.session.media import CallMedia
from parley.session.narrator import ReplyEndedFrame
from parley.session.turns import CallerContext, Listening

EngineT = TypeVar("EngineT")

# A chain of engines ends by itself; the processors' own limits are for what is none.
SLACK_S = 2.0

STILL_RUNNING = (
    "IN_PROGRESS: it goes on in the background and its result will stand here. Don't use it again."
)


@runtime_checkable
class Replaceable(Protocol):
    """A chain of engines, or what is wrapped around one: it tells a call of replacements."""

    def for_call(self, tell: Tell, limits: StageLimits | None = None) -> Self: ...


@dataclass(frozen=True)
class CallEngines:
    """The engines of one call: shared objects with this call's options."""

    stt: Transcriber
    llm: Chatter
    tts: Synthesizer
    hearing: TranscribeOptions
    thinking: ChatOptions
    speaking: SpeechOptions
    limits: ChatLimits = field(default_factory=ChatLimits)

    def for_call(self, call: CallInfo, limits: ChainLimits, tell: Tell) -> CallEngines:
        """The same for this call alone: whose it is, and who is told when an engine fails."""
        return replace(
            self,
            stt=_for_call(self.stt, tell, limits.stt),
            llm=_for_call(self.llm, tell, limits.llm),
            tts=_for_call(self.tts, tell, limits.tts),
            hearing=replace(self.hearing, tenant=call.tenant),
            thinking=replace(self.thinking, tenant=call.tenant, conversation=call.id),
            speaking=replace(self.speaking, tenant=call.tenant),
        )


def _for_call(engine: EngineT, tell: Tell, limits: StageLimits) -> EngineT:
    if isinstance(engine, Replaceable):
        return cast(EngineT, engine.for_call(tell, limits))
    return engine


@dataclass
class ReplyItemFrame(DataFrame):
    """A transport's name for what it plays from here on."""

    item_id: str = ""


class AgentContext(LLMAssistantAggregator):
    """Pipecat's assistant aggregator; it also says when a reply is over and what was heard."""

    def __init__(self, context: LLMContext, items: Items) -> None:
        super().__init__(context, params=LLMAssistantAggregatorParams())
        self._items = items
        self._item_id = ""
        self._going_on: set[str] = set()
        self._register_event_handler("on_model_answered")

    def goes_on(self, tool_call_id: str) -> None:
        """That tool can't be stopped by an interruption: its result will come."""
        self._going_on.add(tool_call_id)
        super()._update_function_call_result("", tool_call_id, STILL_RUNNING)

    def _update_function_call_result(
        self, function_name: str, tool_call_id: str, result: Any
    ) -> None:
        # What goes on is not cancelled, whatever an interruption says behind it.
        if not (result == "CANCELLED" and tool_call_id in self._going_on):
            super()._update_function_call_result(function_name, tool_call_id, result)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, ReplyItemFrame):
            self._item_id = frame.item_id
        elif isinstance(frame, MarkFrame | HeardFrame):
            frame.passed.set()
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseEndFrame) and (outcome := outcome_of(frame)):
            self._hand_back(outcome.handed_back)
            await self._call_event_handler("on_model_answered", outcome)

    def _hand_back(self, tools: Sequence[HandedBack]) -> None:
        if tools:
            self._items.request_tools(
                [each.item_id for each in tools], [each.request for each in tools]
            )

    async def _add_aggregation_to_context(self) -> str:
        said = await super()._add_aggregation_to_context()
        if said and self._item_id:
            self._items.name_last(self._item_id, self.role)
        return said

    async def _trigger_assistant_turn_stopped(self, *, interrupted: bool = False) -> None:
        if not self._assistant_turn_start_timestamp:
            return
        heard = self.aggregation_string() if self._aggregation else ""
        await super()._trigger_assistant_turn_stopped(interrupted=interrupted)
        # A reply without words only asked for a tool, or failed: what comes of it follows.
        if heard or interrupted:
            await self.push_frame(ReplyEndedFrame(text=heard, was_interrupted=interrupted))


@dataclass(frozen=True)
class CallPipeline:
    """The list, and the processors in it that the session speaks to."""

    pipeline: Pipeline
    context: LLMContext
    items: Items
    stt: LiveTranscriber
    caller: CallerContext
    llm: LiveChat
    tts: LiveSpeech
    agent: AgentContext


def build_pipeline(
    media: CallMedia, engines: CallEngines, agent: Agent, context: LLMContext, listening: Listening
) -> CallPipeline:
    limits = agent.limits.seconds()
    stt = LiveTranscriber(engines.stt, engines.hearing)
    guard = Guard(engines.limits, agent.safety.refusals())
    llm = LiveChat(
        engines.llm,
        engines.thinking,
        guard=guard,
        first_delta_timeout_s=limits.llm.patience_s + SLACK_S,
    )
    tts = LiveSpeech(
        engines.tts,
        engines.speaking,
        output_rate_hz=media.output_rate_hz,
        engine_timeout_s=limits.tts.patience_s + SLACK_S,
        reports_progress=media.uses_rtvi,
    )
    # A recogniser that is being replaced answers late, but it answers.
    items = Items(context)
    caller = CallerContext(
        context,
        listening,
        agent.turn_taking,
        items=items,
        transcript_within_s=limits.stt.patience_s,
    )
    agent_context = AgentContext(context, items)
    pipeline = Pipeline(
        [
            media.input(),
            stt,
            caller,
            llm,
            tts,
            media.output(),
            agent_context,
        ]
    )
    return CallPipeline(pipeline, context, items, stt, caller, llm, tts, agent_context)
