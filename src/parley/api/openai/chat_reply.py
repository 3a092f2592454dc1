"""A model's deltas as a chat completion: whole, or in chunks."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from parley.engines.llm.guarding import estimated_tokens
from parley.engines.spec import Delta, Message, ToolRequest, Usage

_FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter"})


@dataclass
class Gathered:
    """All that a reply has come to so far."""

    text: str = ""
    tools: list[ToolRequest] = field(default_factory=list[ToolRequest])
    usage: Usage | None = None
    finish: str = ""

    def take(self, delta: Delta) -> None:
        self.text += delta.text
        self.tools += delta.tools
        self.usage = delta.usage or self.usage
        self.finish = delta.finish or self.finish

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come."""
        return not (self.text or self.tools or self.usage)

    @property
    def finish_reason(self) -> str:
        if self.tools:
            return "tool_calls"
        return self.finish if self.finish in _FINISHES - {"tool_calls"} else "stop"

    def spent(self, messages: Sequence[Message]) -> Usage:
        """The tokens used; estimated where the engine doesn't count."""
        if self.usage is not None:
            return self.usage
        said = [{"role": "assistant", "content": self.text}] if self.text else []
        asked_for = [{"content": arguments_text(tool)} for tool in self.tools]
        return Usage(estimated_tokens(messages), estimated_tokens([*said, *asked_for]))


async def one_tool_at_a_time(deltas: AsyncGenerator[Delta]) -> AsyncGenerator[Delta]:
    """The reply with its first tool request only. Closing this closes ``deltas``."""
    has_one = False
    async with aclosing(deltas):
        async for delta in deltas:
            tools = () if has_one else delta.tools[:1]
            has_one = has_one or bool(tools)
            yield replace(delta, tools=tools)


def arguments_text(request: ToolRequest) -> str:
    return json.dumps(request.arguments, ensure_ascii=False)


def assistant_message(reply: Gathered) -> Message:
    """The reply as the conversation keeps it."""
    message: Message = {"role": "assistant", "content": reply.text}
    if reply.tools:
        message["tool_calls"] = [_whole_call(tool) for tool in reply.tools]
    return message


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


class Completion:
    """One chat completion on its way out; every body of it has the same id and time."""

    def __init__(self, model: str) -> None:
        self.id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created_s = int(time.time())
        self._model = model
        self._calls = 0

    def whole(
        self, reply: Gathered, usage: Usage, audio: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": reply.text if reply.text or not reply.tools else None,
            "refusal": None,
        }
        if audio is not None:
            message |= {"content": None, "audio": dict(audio)}
        if reply.tools:
            message["tool_calls"] = [_whole_call(tool) for tool in reply.tools]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": reply.finish_reason,
        }
        return {**self._frame("chat.completion", [choice]), "usage": usage_body(usage)}

    def beginning(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def pieces(self, delta: Delta) -> Iterator[dict[str, Any]]:
        """The chunks of one delta. A call's name comes first, then its arguments."""
        if delta.text:
            yield self._chunk({"content": delta.text})
        for request in delta.tools:
            index, self._calls = self._calls, self._calls + 1
            function = {"name": request.name, "arguments": ""}
            call = {"index": index, "id": request.id, "type": "function", "function": function}
            yield self._chunk({"tool_calls": [call]})
            rest = {"index": index, "function": {"arguments": arguments_text(request)}}
            yield self._chunk({"tool_calls": [rest]})

    def sound(self, audio: Mapping[str, Any]) -> dict[str, Any]:
        return self._chunk({"audio": dict(audio)})

    def ending(self, finish_reason: str) -> dict[str, Any]:
        return self._chunk({}, finish_reason)

    def spent(self, usage: Usage) -> dict[str, Any]:
        return {**self._frame("chat.completion.chunk", []), "usage": usage_body(usage)}

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return {**self._frame("chat.completion.chunk", [choice]), "usage": None}

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self._created_s,
            "model": self._model,
            "choices": choices,
            "system_fingerprint": None,
        }


def _whole_call(request: ToolRequest) -> dict[str, Any]:
    function = {"name": request.name, "arguments": arguments_text(request)}
    return {"id": request.id, "type": "function", "function": function}
