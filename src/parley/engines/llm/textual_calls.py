"""Understands tool calls that a model writes as text, and keeps what isn't speech from speech."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from parley.core.errors import EngineFailed
from parley.core.log import get_logger
from parley.engines.llm.reply_sieve import Finding, ReplySieve
from parley.engines.spec import Delta, ToolRequest, ToolSchema

log = get_logger(__name__)


async def spoken_deltas(
    deltas: AsyncIterator[Delta], tools: Sequence[ToolSchema]
) -> AsyncGenerator[Delta]:
    """The reply as it can be spoken: its words without delay, and its tool calls as requests.

    JSON, markup of tool calls, reasoning and control tokens are taken out. Calls of tools that
    aren't in ``tools`` are dropped when they are written as text. Each delta that comes in gives
    at least one, perhaps empty, so that whoever waits sees a model at work. Closing this closes
    ``deltas``. Raises ``EngineFailed`` for a reply that held nothing but what was taken out.
    """
    reply = _Reply(tools)
    try:
        async for delta in deltas:
            for out in reply.take(delta):
                yield out
            if reply.sieve.has_ended:
                break
        for out in reply.end():
            yield out
    finally:
        close = getattr(deltas, "aclose", None)
        if close is not None:
            await close()


class _Reply:
    """One reply on its way through the sieve."""

    def __init__(self, tools: Sequence[ToolSchema]) -> None:
        self.sieve = ReplySieve(tools)
        self._called: list[ToolRequest] = []
        self._written: list[ToolRequest] = []
        self._has_written_call = False
        self._has_begun = False
        self._has_words = False

    def take(self, delta: Delta) -> list[Delta]:
        found = self._said(list(self.sieve.push(delta.text)) if delta.text else [])
        mended = [self.sieve.mended(request) for request in delta.tools]
        own = tuple(each for each in mended if not _is_among(each, self._written))
        self._called += own
        finish = delta.finish
        if finish == "stop" and self._called:
            finish = "tool_calls"
        if not found:
            return [replace(delta, text="", tools=own, finish=finish)]
        last = found.pop()
        whole = replace(delta, text=last.text, tools=(*last.tools, *own), finish=finish)
        return [*found, whole]

    def end(self) -> list[Delta]:
        found = self._said(list(self.sieve.end()))
        if self.sieve.has_dropped and not self._has_words and not self._called:
            raise EngineFailed(
                "The model's reply held nothing to say: only markup, reasoning or a tool that "
                "isn't there.",
                hint="A larger model follows its tools better.",
            )
        return found

    def _said(self, findings: Sequence[Finding]) -> list[Delta]:
        said: list[Delta] = []
        for finding in findings:
            if isinstance(finding, ToolRequest):
                self._written.append(finding)
                if not _is_among(finding, self._called):
                    log.info("tool_call_in_text", tool=finding.name)
                    self._called.append(finding)
                    said.append(Delta(tools=(finding,)))
                self._has_written_call = True
            elif not self._has_written_call:
                # What follows a written call can only be guesses at what the tool will answer.
                words = finding if self._has_begun else finding.lstrip()
                self._has_begun = self._has_begun or bool(words)
                self._has_words = self._has_words or any(map(str.isalnum, words))
                if words:
                    said.append(Delta(text=words))
        return said


def _is_among(request: ToolRequest, others: Sequence[ToolRequest]) -> bool:
    facts = (request.name, request.arguments)
    return any(facts == (other.name, other.arguments) for other in others)
