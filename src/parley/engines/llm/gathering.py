"""Turns the chunks of a streamed chat completion into deltas; tool calls become whole ones."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from parley.core.errors import EngineFailed
from parley.engines.llm.arguments import arguments_from
from parley.engines.spec import Delta, ToolRequest, Usage

_FINISHES = {"function_call": "tool_calls", "tool_call": "tool_calls", "max_tokens": "length"}


@dataclass(slots=True)
class _Call:
    """A tool call that is still coming in."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class Gatherer:
    """Reads OpenAI's chunks, and the deviations of those who speak its dialects.

    Text passes at once, tool calls wait until they are whole, usage comes last. Reasoning is
    never passed on.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self.has_finished = False

    def take(self, chunk: dict[str, Any]) -> Iterable[Delta]:
        """The deltas of one chunk. Raises ``EngineFailed`` when the server says that it failed."""
        if chunk.get("error"):
            raise EngineFailed(f"The server broke the reply off: {_said(chunk['error'])}")
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(chunk["usage"])
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            piece: dict[str, Any] = choice.get("delta") or choice.get("message") or {}
            self._gather(piece.get("tool_calls") or ())
            text = _text(piece.get("content")) or _text(piece.get("refusal"))
            if text or _is_at_work(piece):
                # Empty while the model reasons or writes a call: a sign of life.
                yield Delta(text=text)
            if choice.get("finish_reason"):
                yield self._finish(str(choice["finish_reason"]))

    def end(self) -> Iterable[Delta]:
        """What is left when the stream has ended as it should."""
        if self._calls or not self.has_finished:
            yield self._finish("stop")
        if self._usage:
            yield Delta(usage=self._usage)

    def _finish(self, reason: str) -> Delta:
        self.has_finished = True
        calls, self._calls, self._by_index = self._calls, [], {}
        tools = tuple(_request(call) for call in calls)
        reason = "tool_calls" if tools and reason == "stop" else _FINISHES.get(reason, reason)
        return Delta(tools=tools, finish=reason)

    def _gather(self, fragments: Iterable[Any]) -> None:
        for fragment in fragments:
            function: dict[str, Any] = fragment.get("function") or {}
            call = self._call_of(fragment, str(function.get("name") or ""))
            arguments = function.get("arguments")
            if isinstance(arguments, str):
                call.arguments += arguments
            elif arguments is not None:
                call.arguments = json.dumps(arguments)

    def _call_of(self, fragment: dict[str, Any], name: str) -> _Call:
        """The call that a fragment belongs to: by index, else by id, else the latest.

        Some servers number every call 0, so a new id with a name begins a new call anyway.
        """
        index, call_id = fragment.get("index"), str(fragment.get("id") or "")
        known = (
            self._by_index.get(index)
            if isinstance(index, int)
            else self._without_index(call_id, name)
        )
        if known is None or (call_id and known.id and call_id != known.id and name):
            known = _Call(call_id, name)
            self._calls.append(known)
        known.id = known.id or call_id
        known.name = known.name or name
        if isinstance(index, int):
            self._by_index[index] = known
        return known

    def _without_index(self, call_id: str, name: str) -> _Call | None:
        if call_id:
            return next((call for call in self._calls if call.id == call_id), None)
        return self._calls[-1] if self._calls and not name else None


def _is_at_work(piece: dict[str, Any]) -> bool:
    return any(piece.get(key) for key in ("tool_calls", "reasoning_content", "reasoning"))


def new_call_id() -> str:
    """A name for a tool call whose server gave it none."""
    return f"call_{uuid.uuid4().hex[:24]}"


def _arguments(text: str) -> dict[str, Any]:
    """Raises ``EngineFailed`` when they are no JSON object and can't be mended."""
    try:
        inner: Any = json.loads(text)
    except ValueError:
        inner = None
    # Small models wrap the object in a string once more.
    return arguments_from(inner if isinstance(inner, str) else text)


def _request(call: _Call) -> ToolRequest:
    if not call.name:
        raise EngineFailed("The model called a tool without saying which.")
    return ToolRequest(call.id or new_call_id(), call.name, _arguments(call.arguments))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast("dict[str, Any]", p) for p in cast("list[Any]", content) if isinstance(p, dict)]
    return "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")


def _usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )


def _said(error: Any) -> str:
    told: object = error
    if isinstance(error, dict):
        told = cast("dict[str, object]", error).get("message") or cast(object, error)
    return " ".join(str(told).split())[:300]
