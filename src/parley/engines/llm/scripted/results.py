"""What a tool answered, read from the messages of a conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from parley.engines.spec import Message

# What Pipecat puts in a result's place.
_RUNNING = "IN_PROGRESS"
_NOTHING = "COMPLETED"
_STOPPED = "CANCELLED"
_BROKEN = re.compile(r"The function `[^`]*` (failed|is not currently available)")

State = Literal["running", "stopped", "failed", "done"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool's answer. ``error`` is the sentence it failed with, if it gave one."""

    state: State
    result: Any = None
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.state != "done"


def answer_in(content: str) -> Answer:
    """Read the content of a tool's message: JSON or plain text.

    A failure is an object with the key ``error`` (a sentence, or an object with ``message``).
    """
    if content.startswith(_RUNNING):
        return Answer("running")
    if content.startswith(_STOPPED):
        return Answer("stopped")
    if content == _NOTHING:
        return Answer("done")
    result = _parsed(content)
    if isinstance(result, str):
        return Answer("failed") if _BROKEN.match(result) else Answer("done", result)
    if isinstance(result, dict):
        fields = cast("dict[str, Any]", result)
        if fields.get("type") == "async_tool":
            return _later(fields)
        if fields.get("error"):
            return Answer("failed", result, _sentence(fields["error"]))
    return Answer("done", result)


def late_answer(message: Message) -> tuple[str, Answer] | None:
    """The answer of a tool that ran on while the caller spoke, with its id.

    It comes in a developer's message; None when the message is something else.
    """
    content = text_of(message)
    fields = _parsed(content) if content.startswith("{") else None
    if not isinstance(fields, dict):
        return None
    payload = cast("dict[str, Any]", fields)
    if payload.get("type") != "async_tool" or not isinstance(payload.get("tool_call_id"), str):
        return None
    return payload["tool_call_id"], _later(payload)


def calls_in(message: Message) -> Iterator[tuple[str, str]]:
    """The id and the name of each tool that an assistant's message calls."""
    calls = message.get("tool_calls")
    for call in cast("list[Any]", calls) if isinstance(calls, list) else []:
        if not isinstance(call, dict):
            continue
        fields = cast("dict[str, Any]", call)
        function = fields.get("function")
        named = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
        yield str(fields.get("id")), str(named.get("name"))


def text_of(message: Message) -> str:
    """The text of a message, whose content may be text, a list of parts or nothing."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts: list[str] = []
    for part in cast("list[Any]", content):
        if isinstance(part, Mapping):
            text = cast("Mapping[str, Any]", part).get("text")
            if isinstance(text, str):
                texts.append(text)
    return " ".join(texts)


def _later(payload: Mapping[str, Any]) -> Answer:
    result = payload.get("result")
    if payload.get("status") != "finished" or not isinstance(result, str):
        return Answer("running")
    return answer_in(result)


def _parsed(content: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content


def _sentence(error: Any) -> str:
    if isinstance(error, Mapping):
        error = cast("Mapping[str, Any]", error).get("message")
    return error if isinstance(error, str) else ""
