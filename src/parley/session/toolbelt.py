"""Offers an agent's tools to the model and runs them within their limits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from parley.core.errors import ToolFailed
from parley.core.events import Event, InjectionSuspected, ToolEnded, ToolRefused, ToolStarted
from parley.core.log import get_logger
from parley.engines.spec import Message, ToolRequest
from parley.session.confirmation import (
    asks_first,
    described,
    question_for,
    verdict_on,
    was_declined,
)
from parley.session.suspicion import suspicions
from parley.tools.book import NoBook, RunBegan, RunOver, ToolBook, new_run_id
from parley.tools.masking import MASK, masked, secret_values, without
from parley.tools.spec import CallActions, Tool, ToolCall, idempotency_key
from parley.tools.webhook.failures import MAYBE_DONE

log = get_logger(__name__)

TOO_SLOW = "tool_timeout"
Refusal = Literal["unconfirmed", "declined", "too_many"]
"""Why a tool is not run that the model asked for."""

_REFUSALS: dict[Refusal, str] = {
    "unconfirmed": "It was not run: the caller had not been asked.",
    "declined": "It was not run: the caller said no.",
    "too_many": "It was not run: the model had used enough tools.",
}

Progress = Callable[[str, str], Any]
"""``await progress(tool_call_id, text)`` tells the caller that it still goes on."""


@dataclass(frozen=True, slots=True)
class Whose:
    """For whom tools run."""

    tenant: str = ""
    agent: str = ""


NOBODYS = Whose()


class Toolbelt:
    """One call's tools, or one written turn's."""

    def __init__(
        self,
        tools: Sequence[Tool],
        actions: CallActions,
        announce: Callable[[Event], None],
        whose: Whose = NOBODYS,
        progress: Progress | None = None,
        book: ToolBook | None = None,
    ) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self._actions = actions
        self._announce = announce
        self._whose = whose
        self._progress = progress
        self._book: ToolBook = book or NoBook()
        self._uses: dict[tuple[str, str], list[str]] = {}
        self._spent: dict[str, str] = {}
        """Requests that a yes was good for, and which question it was the answer to."""

    def schema(self) -> ToolsSchema:
        return ToolsSchema(standard_tools=[_function(tool) for tool in self.tools.values()])

    def refusal(
        self, tool: Tool, request: ToolRequest, messages: Sequence[Message]
    ) -> dict[str, str] | None:
        """What the model gets instead where the caller must be asked before; None: go on."""
        if not tool.confirms or request.is_confirmed:
            return None
        asked = tool.name, request.id, request.arguments, messages
        verdict = verdict_on(*asked)
        if not verdict and (question := question_for(*asked)) not in self._spent.values():
            self._spent[request.id] = question
            return None
        verdict = verdict or "unconfirmed"
        self.refused(tool, request, verdict)
        return asks_first(tool.name) if verdict == "unconfirmed" else was_declined(tool.name)

    def refused(self, tool: Tool, request: ToolRequest, reason: Refusal) -> None:
        """It was asked for and is not run, which is told and written down."""
        log.info("tool_refused", tool=tool.name, reason=reason)
        call = self._call(tool, request)
        self._announce(
            ToolRefused(
                call_id=self._actions.call_id,
                tool=tool.name,
                tool_call_id=request.id,
                reason=reason,
            )
        )
        self._book.began(_beginning(tool, call))
        self._book.ended(RunOver(call.run_id, "failed", 0.0, None, reason, _REFUSALS[reason]))

    async def run(self, tool: Tool, request: ToolRequest) -> Any:
        """Run one tool within its time; a failure becomes a result that the model can word."""
        call = self._call(tool, request)
        run = _Run(tool, call, self._announce, self._book)
        run.begin()
        result: Any = None
        error, code = "cancelled", "cancelled"
        try:
            result = await asyncio.wait_for(tool.run(call), tool.timeout_s)
            error = code = ""
        except TimeoutError:
            says = f"{tool.name} did not answer within {tool.timeout_s:g} seconds."
            error, code = _perhaps_done(tool, says), TOO_SLOW
            result = {"error": error}
        except ToolFailed as failure:
            error, code = str(failure), failure.code
            result = {"error": error}
        except Exception as failure:
            # A tool is anybody's code; the model is told, and the call goes on.
            log.exception("tool_broke", tool=tool.name)
            error, code = f"{tool.name} broke: {type(failure).__name__}.", "internal_error"
            result = {"error": _perhaps_done(tool, f"{tool.name} could not be used.")}
        finally:
            run.end(result, error, code)
            if error:
                # It came to nothing, and may be tried again.
                self._spent.pop(request.id, None)
        self._suspect(tool, result)
        return result

    def _call(self, tool: Tool, request: ToolRequest) -> ToolCall:
        call = ToolCall(
            request.id,
            dict(request.arguments),
            self._actions,
            tenant=self._whose.tenant,
            agent=self._whose.agent,
            idempotency_key=idempotency_key(
                self._actions.call_id, tool.name, self._use_of(tool, request)
            ),
            run_id=new_run_id(),
            changes=tool.changes,
            timeout_s=tool.timeout_s,
        )
        if self._progress is None:
            return call
        secrets = _secrets_of(tool, call)
        return replace(call, progress=partial(_tell, self._progress, secrets, request.id))

    def _use_of(self, tool: Tool, request: ToolRequest) -> str:
        """What this use is told apart by: the id, and what was asked where the id comes again.

        Some models number their calls anew in every turn; a second booking is no repetition of
        the first.
        """
        asked = json.dumps(dict(request.arguments), sort_keys=True, default=str)
        seen = self._uses.setdefault((tool.name, request.id), [])
        if asked not in seen:
            seen.append(asked)
        place = seen.index(asked)
        return f"{request.id}#{place}" if place else request.id

    def _suspect(self, tool: Tool, result: Any) -> None:
        text = result if isinstance(result, str) else json.dumps(result, default=str)
        for rule in suspicions(text):
            self._announce(
                InjectionSuspected(
                    call_id=self._actions.call_id, where=f"tool:{tool.name}", rule=rule
                )
            )


def _beginning(tool: Tool, call: ToolCall) -> RunBegan:
    return RunBegan(
        id=call.run_id,
        tenant=call.tenant,
        call_id=call.actions.call_id,
        agent=call.agent,
        tool=tool.name,
        provider=tool.provider,
        tool_call_id=call.id,
        idempotency_key=call.idempotency_key,
        arguments={} if tool.hides_arguments else masked(call.arguments, tool.parameters),
        timeout_s=tool.timeout_s,
    )


class _Run:
    """Tells the bus and the book of one use of a tool."""

    def __init__(
        self, tool: Tool, call: ToolCall, announce: Callable[[Event], None], book: ToolBook
    ) -> None:
        self._tool = tool
        self._call = call
        self._announce = announce
        self._book = book
        self._secrets = _secrets_of(tool, call)
        self._started_s = time.monotonic()

    def begin(self) -> None:
        tool, call = self._tool, self._call
        began = _beginning(tool, call)
        # Before it runs: what it does outside is on record, whatever becomes of us.
        self._book.began(began)
        self._announce(
            ToolStarted(
                call_id=call.actions.call_id,
                tool=tool.name,
                tool_call_id=call.id,
                arguments=dict(began.arguments),
            )
        )

    def end(self, result: Any, error: str, code: str) -> None:
        after_ms = round((time.monotonic() - self._started_s) * 1000, 1)
        tool, call = self._tool, self._call
        # The model may learn again what it has passed; nobody else.
        error = without(error, self._secrets)
        answer = MASK if tool.hides_answer else without(result, self._secrets)
        log.info("tool_ended", tool=tool.name, after_ms=after_ms, error=error)
        self._announce(
            ToolEnded(
                call_id=call.actions.call_id,
                tool=tool.name,
                tool_call_id=call.id,
                after_ms=after_ms,
                error=error,
            )
        )
        state = "cancelled" if code == "cancelled" else "failed" if error else "answered"
        self._book.ended(RunOver(call.run_id, state, after_ms, answer, code, error))


async def _tell(progress: Progress, secrets: Sequence[str], id: str, text: str) -> None:
    """What a tool tells of itself is spoken, and stands in events."""
    await progress(id, without(text, secrets))


def _secrets_of(tool: Tool, call: ToolCall) -> tuple[str, ...]:
    return secret_values(call.arguments, tool.parameters, all_are=tool.hides_arguments)


def _perhaps_done(tool: Tool, says: str) -> str:
    """Nobody knows how far it came."""
    return f"{says} {MAYBE_DONE}" if tool.changes else says


def _function(tool: Tool) -> FunctionSchema:
    return FunctionSchema(
        name=tool.name,
        description=described(tool),
        properties=dict(tool.parameters.get("properties", {})),
        required=list(tool.parameters.get("required", [])),
    )


def as_call(request: ToolRequest) -> dict[str, Any]:
    """The request as chat messages hold it."""
    arguments = json.dumps(request.arguments, ensure_ascii=False)
    function = {"name": request.name, "arguments": arguments}
    return {"id": request.id, "type": "function", "function": function}
