"""Offers an agent's tools to the model and runs them within their limits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams

from parley.core.errors import ToolFailed
from parley.core.events import Event, InjectionSuspected, ToolEnded, ToolStarted
from parley.core.log import get_logger
from parley.engines.llm.live import LiveChat
from parley.engines.spec import ToolRequest
from parley.session.suspicion import suspicions
from parley.tools.spec import CallActions, Tool, ToolCall

log = get_logger(__name__)


class Toolbelt:
    """One call's tools.

    A tool that must not be interrupted (a booking) goes on when the caller speaks; what it
    answers is put into the context where the model will find it, not lost.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        actions: CallActions,
        announce: Callable[[Event], None],
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._actions = actions
        self._announce = announce
        self._running: set[asyncio.Task[Any]] = set()

    def schema(self) -> ToolsSchema:
        return ToolsSchema(standard_tools=[_function(tool) for tool in self._tools.values()])

    def hang_on(self, llm: LiveChat) -> None:
        """Let the model call these tools."""
        for tool in self._tools.values():
            # A little more than the tool's own limit, which ends it with a better sentence.
            llm.register_function(
                tool.name,
                self._handle,
                cancel_on_interruption=not tool.outlives_speech,
                timeout_secs=tool.timeout_s + 5,
            )
            if tool.hides_arguments:
                llm.hide_arguments(tool.name)

    async def close(self) -> None:
        """Wait shortly for what must not be interrupted, then let go."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=2)
            for task in late:
                task.cancel()

    async def _handle(self, params: FunctionCallParams) -> None:
        tool = self._tools[params.function_name]
        call = ToolCall(params.tool_call_id, dict(params.arguments), self._actions)
        task = asyncio.create_task(self.run(tool, call), name=f"tool:{tool.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            if tool.interruptible:
                task.cancel()
            else:
                task.add_done_callback(_Latecomer(params.context, call.id))
            raise
        properties = FunctionCallResultProperties(run_llm=False) if tool.ends_turn else None
        await params.result_callback(result, properties=properties)

    async def run(self, tool: Tool, call: ToolCall) -> Any:
        """Run one tool within its time; a failure becomes a result that the model can word."""
        started_s = time.monotonic()
        arguments = {} if tool.hides_arguments else dict(call.arguments)
        call_id = self._actions.call_id
        self._announce(
            ToolStarted(call_id=call_id, tool=tool.name, tool_call_id=call.id, arguments=arguments)
        )
        error = "cancelled"
        try:
            result: Any = await asyncio.wait_for(tool.run(call), tool.timeout_s)
            error = ""
        except TimeoutError:
            error = f"{tool.name} did not answer within {tool.timeout_s:g} seconds."
            result = {"error": error}
        except ToolFailed as failure:
            error = str(failure)
            result = {"error": error}
        except Exception as failure:
            # A tool is anybody's code; the model is told, and the call goes on.
            log.exception("tool_broke", tool=tool.name)
            error = f"{tool.name} broke: {type(failure).__name__}."
            result = {"error": f"{tool.name} could not be used."}
        finally:
            after_ms = round((time.monotonic() - started_s) * 1000, 1)
            log.info("tool_ended", tool=tool.name, after_ms=after_ms, error=error)
            self._announce(
                ToolEnded(
                    call_id=call_id,
                    tool=tool.name,
                    tool_call_id=call.id,
                    after_ms=after_ms,
                    error=error,
                )
            )
        self._suspect(tool, result)
        return result

    def _suspect(self, tool: Tool, result: Any) -> None:
        text = result if isinstance(result, str) else json.dumps(result, default=str)
        for rule in suspicions(text):
            self._announce(
                InjectionSuspected(
                    call_id=self._actions.call_id, where=f"tool:{tool.name}", rule=rule
                )
            )


class _Latecomer:
    """Writes the result of a tool that outlived its turn into the context."""

    def __init__(self, context: LLMContext, tool_call_id: str) -> None:
        self._context = context
        self._tool_call_id = tool_call_id

    def __call__(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        for message in self._context.get_messages():
            fields = cast(dict[str, Any], message)
            if fields.get("tool_call_id") == self._tool_call_id:
                fields["content"] = json.dumps(task.result())


def _function(tool: Tool) -> FunctionSchema:
    return FunctionSchema(
        name=tool.name,
        description=tool.description,
        properties=dict(tool.parameters.get("properties", {})),
        required=list(tool.parameters.get("required", [])),
    )


def as_call(request: ToolRequest) -> dict[str, Any]:
    """The request as chat messages hold it."""
    arguments = json.dumps(request.arguments, ensure_ascii=False)
    function = {"name": request.name, "arguments": arguments}
    return {"id": request.id, "type": "function", "function": function}
