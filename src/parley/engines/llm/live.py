"""Puts any model into a live call: streams its text and lets it call tools."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypedDict, cast

from pipecat.adapters.llm.base_llm_adapter import BaseLLMAdapter
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    DataFrame,
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.metrics.metrics import LLMTokenUsage
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings
from pipecat.utils.errors import ErrorCategory

from parley.core.errors import EngineTimeout, ParleyError
from parley.engines.llm.fresh_ids import ids_in, with_fresh_ids
from parley.engines.llm.guarding import Guard
from parley.engines.llm.reply_wish import HandedBack, ReplyOutcome, ReplyWish
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    Delta,
    Message,
    ToolRequest,
    ToolSchema,
    Usage,
)

FIRST_DELTA_TIMEOUT_S = 20.0


class PlainRequest(TypedDict):
    """What a model is asked: the conversation and the tools on offer."""

    messages: list[Message]
    tools: list[ToolSchema]


@dataclass
class ReplyFrame(DataFrame):
    """The model is to answer ``context`` as ``wish`` says."""

    wish: ReplyWish
    context: LLMContext | None = None


OUTCOME = "parley_outcome"
"""Under this key an ``LLMFullResponseEndFrame`` carries its ``ReplyOutcome``."""


def outcome_of(end: LLMFullResponseEndFrame) -> ReplyOutcome | None:
    """How the reply ended that this frame ends; None where no model of ours made it."""
    return cast("ReplyOutcome | None", end.metadata.get(OUTCOME))


class PlainAdapter(BaseLLMAdapter[PlainRequest]):
    """Gives messages and tools in OpenAI's plain form.

    Pipecat's default adapter imports the openai package when the first service is made, which
    takes a second or two on the event loop; this one imports nothing.
    """

    @property
    def id_for_llm_specific_messages(self) -> str:
        return "parley"

    async def get_llm_invocation_params(
        self, context: LLMContext, *, system_instruction: str | None = None, **kwargs: Any
    ) -> PlainRequest:
        messages = self.get_messages_for_logging(context)
        if system_instruction:
            messages.insert(0, {"role": "system", "content": system_instruction})
        tools = context.tools
        offered = self.to_provider_tools_format(tools) if isinstance(tools, ToolsSchema) else []
        return {"messages": messages, "tools": offered}

    def to_provider_tools_format(self, tools_schema: ToolsSchema) -> list[ToolSchema]:
        return [
            ToolSchema(
                tool.name,
                tool.description,
                {"type": "object", "properties": tool.properties, "required": tool.required},
            )
            for tool in tools_schema.standard_tools
        ]

    def get_messages_for_logging(self, context: LLMContext) -> list[Message]:
        """Copies of the messages that every model understands."""
        messages = cast("list[Any]", context.get_messages())
        return [dict(cast(Message, each)) for each in messages if isinstance(each, dict)]


class LiveChat(LLMService[PlainAdapter]):
    """Runs the model on the context and streams what it says.

    An interruption cancels Pipecat's task for the frame, and with it the model's iterator, at
    once. ``guard`` bounds what the model reads and takes out of its reply what can't be spoken;
    A failure is reported upstream and the reply ends; the context is as it was, and the
    next turn tries again. The first delta may take ``first_delta_timeout_s``.
    """

    adapter_class = PlainAdapter

    def __init__(
        self,
        engine: Chatter,
        options: ChatOptions,
        *,
        guard: Guard | None = None,
        first_delta_timeout_s: float = FIRST_DELTA_TIMEOUT_S,
    ) -> None:
        super().__init__(settings=_all_given(LLMSettings(model=options.model or None)))
        self._engine = engine
        self._options = options
        self._guard = guard or Guard()
        self._usual = ReplyWish()
        self._outcome = ReplyOutcome()
        self._first_delta_timeout_s = first_delta_timeout_s
        self._unshown: set[str] = set()
        self._confirmed: set[str] = set()

    def has_confirmed(self, tool_call_id: str) -> bool:
        """Whether the engine itself has asked the caller before it wanted that tool."""
        return tool_call_id in self._confirmed

    def hide_arguments(self, tool: str) -> None:
        """Keep what the model passes to that tool out of Pipecat's log lines."""
        self._unshown.add(tool)

    def _has_async_tools(self) -> bool:
        # Pipecat would put a page about such tools before the agent's own instructions; ours
        # answer before anything else is said, and models of all sizes read the context.
        return False

    def can_generate_metrics(self) -> bool:
        return True

    def set_usual(self, usual: ReplyWish) -> None:
        """How replies are from the next one on, where nothing else is asked."""
        self._usual = usual

    @property
    def is_writing(self) -> bool:
        """Whether replies are usually not spoken."""
        return bool(self._usual.text_only)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._reply(frame.context, self._usual)
        elif isinstance(frame, ReplyFrame) and frame.context is not None:
            await self._reply(frame.context, frame.wish.over(self._usual))
        else:
            await self.push_frame(frame, direction)

    async def _reply(self, context: LLMContext, wish: ReplyWish) -> None:
        self._skip_tts = wish.text_only
        self._outcome = ReplyOutcome()
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        try:
            await self._run_tools(await self._stream(context, wish), context, wish)
        except asyncio.CancelledError:
            self._outcome = replace(self._outcome, was_cut=True)
            raise
        except ParleyError as error:
            await self._report(str(error), error)
        except Exception as error:
            # Engines of other packages raise what they like; the call must go on.
            await self._report(f"The model broke: {type(error).__name__}: {error}", error)
        finally:
            await self.stop_processing_metrics()
            end = LLMFullResponseEndFrame()
            end.metadata[OUTCOME] = self._outcome
            await self.push_frame(end)

    async def _run_tools(
        self, requests: list[ToolRequest], context: LLMContext, wish: ReplyWish
    ) -> None:
        """Run ours; the client's are handed back first, and ours wait until it asks again."""
        theirs = {tool.name for tool in wish.tools or () if not self.has_function(tool.name)}
        handed_back = tuple(
            HandedBack(request, f"item_{secrets.token_hex(10)}")
            for request in requests
            if request.name in theirs
        )
        if handed_back:
            # They go out with the end of the reply, behind what is said in it.
            self._outcome = replace(self._outcome, handed_back=handed_back)
        else:
            await self.run_function_calls(
                [_call(each, context, hides=each.name in self._unshown) for each in requests]
            )

    async def _report(self, message: str, error: Exception) -> None:
        self._outcome = replace(self._outcome, error=message)
        await self.cancel_ttfb_metrics()
        # Left to itself Pipecat reads our errors' HTTP status, and for some of them it would
        # declare the service unusable for the rest of the call.
        await self.push_error(message, exception=error, category=ErrorCategory.UNKNOWN)

    async def _stream(self, context: LLMContext, wish: ReplyWish) -> list[ToolRequest]:
        """Pass on the text as it comes; return the tools that the model wants run."""
        instruction = self._settings.system_instruction
        asked = await self.get_llm_adapter().get_llm_invocation_params(
            context, system_instruction=instruction if isinstance(instruction, str) else None
        )
        requests: list[ToolRequest] = []
        taken = ids_in(context.get_messages())
        await self.start_ttfb_metrics()
        messages, tools = self._guard.asked(wish.asked(asked["messages"])), asked["tools"]
        tools, options = wish.offered(tools), wish.options(self._options)
        chat = self._engine.chat(messages, tools, options)
        async with _closing(self._guard.reply(chat, tools, options.max_tokens)) as deltas:
            delta = await self._first(deltas)
            await self.stop_ttfb_metrics()
            while delta is not None:
                requests += await self._take(delta, taken)
                delta = await anext(deltas, None)
        return requests

    async def _first(self, deltas: AsyncIterator[Delta]) -> Delta | None:
        limit = asyncio.timeout(self._first_delta_timeout_s)
        try:
            async with limit:
                return await anext(deltas, None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise EngineTimeout(
                f"The model gave no answer within {self._first_delta_timeout_s:g} seconds."
            ) from error

    async def _take(self, delta: Delta, taken: set[str]) -> tuple[ToolRequest, ...]:
        self._outcome = self._outcome.after(delta)
        if delta.text:
            await self._push_llm_text(delta.text)
        if requests := with_fresh_ids(delta.tools, taken):
            self._confirmed.update(each.id for each in requests if each.is_confirmed)
            await self.stop_ttfat_metrics()
        if delta.usage:
            await self.start_llm_usage_metrics(_token_usage(delta.usage))
        return requests


@asynccontextmanager
async def _closing(deltas: AsyncIterator[Delta]) -> AsyncGenerator[AsyncIterator[Delta]]:
    """Closes the iterator at the end, however that comes about: that stops the engine."""
    try:
        yield deltas
    finally:
        close = getattr(deltas, "aclose", None)
        if close is not None:
            await close()


class _Unshown(dict[str, Any]):
    """Arguments that say nothing of themselves."""

    def __repr__(self) -> str:
        return "(hidden)"


def _call(request: ToolRequest, context: LLMContext, *, hides: bool) -> FunctionCallFromLLM:
    return FunctionCallFromLLM(
        context=context,
        tool_call_id=request.id,
        function_name=request.name,
        arguments=_Unshown(request.arguments) if hides else request.arguments,
    )


def _token_usage(usage: Usage) -> LLMTokenUsage:
    return LLMTokenUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )


def _all_given(settings: LLMSettings) -> LLMSettings:
    """Pipecat complains at every call of a settings object that leaves anything open."""
    for name in settings.__dataclass_fields__.keys() - settings.given_fields().keys():
        if name != "extra":
            setattr(settings, name, None)
    return settings
