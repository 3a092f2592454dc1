"""The one list: which processors a call runs through, in the order that never changes."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMAssistantAggregator,
    LLMAssistantAggregatorParams,
)

from parley.agents.schema import Agent
from parley.engines.llm.live import LiveChat
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
from parley.session.media import CallMedia
from parley.session.narrator import ReplyEndedFrame
from parley.session.turns import CallerContext, Listening


@dataclass(frozen=True)
class CallEngines:
    """The engines of one call: shared objects with this call's options."""

    stt: Transcriber
    llm: Chatter
    tts: Synthesizer
    hearing: TranscribeOptions
    thinking: ChatOptions
    speaking: SpeechOptions


class AgentContext(LLMAssistantAggregator):
    """Pipecat's assistant aggregator; it also says when a reply is over and what was heard."""

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
    stt: LiveTranscriber
    caller: CallerContext
    llm: LiveChat
    tts: LiveSpeech


def build_pipeline(
    media: CallMedia, engines: CallEngines, agent: Agent, context: LLMContext, listening: Listening
) -> CallPipeline:
    stt = LiveTranscriber(engines.stt, engines.hearing)
    llm = LiveChat(engines.llm, engines.thinking)
    tts = LiveSpeech(
        engines.tts,
        engines.speaking,
        output_rate_hz=media.output_rate_hz,
        reports_progress=media.uses_rtvi,
    )
    caller = CallerContext(context, listening, agent.turn_taking)
    agent_context = AgentContext(context, params=LLMAssistantAggregatorParams())
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
    return CallPipeline(pipeline, context, stt, caller, llm, tts)
