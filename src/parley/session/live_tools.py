"""A call's tools in the hands of its model: several at once, through interruptions, and never
without an end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast

from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from parley.core.events import Event, UserTranscript
from parley.core.tasks import begin, end
from parley.engines.spec import Message, ToolRequest
from parley.session.fillers import Fillers
from parley.session.last_resort import LastResort
from parley.session.mishaps import MEANT_SPEECH_MS
from parley.session.pipeline import CallPipeline
from parley.session.toolbelt import Toolbelt
from parley.tools.spec import Tool

MOST_ROUNDS = 8
"""So often the model may ask for tools after one thing that the caller said …"""
PATIENCE_ROUNDS = 2
"""… and so often it is told to answer before it is not asked any more."""
CLOSING_S = 2.0

ENOUGH = (
    "Tools have been used often enough for this answer. Tell the caller now what you have found, "
    "or what you could not do, and what they can do next."
)


class LiveTools:
    """Runs what the model asks for.

    A tool that must not be interrupted (a booking) goes on when the caller speaks; what it
    answers is put into the context where the model will find it, not lost.
    """

    def __init__(self, belt: Toolbelt, fillers: Fillers, resort: LastResort) -> None:
        self._belt = belt
        self._fillers = fillers
        self._resort = resort
        self._running: set[asyncio.Task[Any]] = set()
        self._late: set[asyncio.Task[Any]] = set()
        self._rounds = self._turns = 0
        self._was_cut = self._owes_answer = False
        self._line: CallPipeline | None = None

    def hang_on(self, line: CallPipeline) -> None:
        """Let the model call these tools."""
        self._line = line
        for tool in self._belt.tools.values():
            # A little more than the tool's own limit, which ends it with a better sentence.
            line.llm.register_function(
                tool.name,
                self._handle,
                cancel_on_interruption=not tool.outlives_speech,
                timeout_secs=tool.timeout_s + 5,
            )
            if tool.hides_arguments:
                line.llm.hide_arguments(tool.name)
        line.llm.add_event_handler("on_function_calls_started", self._on_round)
        line.caller.add_event_handler("on_user_turn_stopped", self._on_turn_stopped)

    def note(self, event: Event) -> None:
        """Tell of an event of the call."""
        if isinstance(event, UserTranscript) and event.final and event.text.strip():
            self._rounds = 0
            self._was_cut = self._owes_answer = False

    async def close(self) -> None:
        """Wait shortly for what must not be interrupted, then let go."""
        if going_on := self._running | self._late:
            _, late = await asyncio.wait(going_on, timeout=CLOSING_S)
            await end(*late)

    async def _on_round(self, *_: Any) -> None:
        self._rounds += 1

    async def _handle(self, params: FunctionCallParams) -> None:
        assert self._line is not None
        tool = self._belt.tools[params.function_name]
        id = params.tool_call_id
        request = ToolRequest(
            id, tool.name, dict(params.arguments), is_confirmed=self._line.llm.has_confirmed(id)
        )
        messages = [cast(Message, m) for m in params.context.get_messages() if isinstance(m, dict)]
        self._note_turn(messages)
        if self._rounds > MOST_ROUNDS:
            await self._refuse(params, tool, request)
            return
        result: Any = self._belt.refusal(tool, request, messages)
        if result is None:
            result = await self._run(tool, request, params)
        properties = FunctionCallResultProperties(run_llm=False) if tool.ends_turn else None
        await params.result_callback(result, properties=properties)

    def _note_turn(self, messages: Sequence[Message]) -> None:
        """What a client writes into the conversation is no event, and a new turn all the same."""
        turns = sum(message.get("role") == "user" for message in messages)
        if turns != self._turns:
            self._turns = turns
            self._rounds = min(self._rounds, 1)

    async def _run(self, tool: Tool, request: ToolRequest, params: FunctionCallParams) -> Any:
        task = begin(self._belt.run(tool, request), f"tool:{tool.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self._fillers.begin(tool, request.id)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if tool.interruptible:
                task.cancel()
            else:
                self._let_finish(task, params)
            self._was_cut = True
            raise
        finally:
            self._fillers.end(request.id)

    async def _refuse(self, params: FunctionCallParams, tool: Tool, request: ToolRequest) -> None:
        """It is time for an answer."""
        self._belt.refused(tool, request, "too_many")
        is_hopeless = self._rounds > MOST_ROUNDS + PATIENCE_ROUNDS
        await params.result_callback(
            {"error": ENOUGH},
            properties=FunctionCallResultProperties(run_llm=False) if is_hopeless else None,
        )
        if is_hopeless:
            await self._resort.give_up()

    # ── when the caller speaks meanwhile ─────────────────────────────────────────────────────

    def _let_finish(self, task: asyncio.Task[Any], params: FunctionCallParams) -> None:
        assert self._line is not None
        self._line.agent.goes_on(params.tool_call_id)
        late = begin(self._finish(task, params), f"late:{params.function_name}")
        self._late.add(late)
        late.add_done_callback(self._late.discard)

    async def _finish(self, task: asyncio.Task[Any], params: FunctionCallParams) -> None:
        """Write the result of a tool that outlived its turn into the context."""
        result = await task
        for message in params.context.get_messages():
            fields = cast(dict[str, Any], message)
            if fields.get("tool_call_id") == params.tool_call_id:
                fields["content"] = json.dumps(result, ensure_ascii=False, default=str)
        if self._owes_answer:
            self._owes_answer = False
            await self._resort.speak_up()

    async def _on_turn_stopped(self, _caller: Any, _strategy: Any, message: Any) -> None:
        """It was a noise that cut off a tool: nobody else would answer."""
        was_cut, self._was_cut = self._was_cut, False
        if message.content or not was_cut:
            return
        assert self._line is not None
        if self._late:
            self._owes_answer = True
        elif self._line.caller.last_speech_ms < MEANT_SPEECH_MS:
            await self._resort.answer_now()
