"""A model's deltas as a response: its items, and the events that tell of them as they grow."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from parley.api.openai.chat_reply import Gathered, arguments_text
from parley.api.openai.responses_body import ResponseBody
from parley.core.errors import ParleyError
from parley.engines.spec import Delta, ToolRequest, Usage

Event = dict[str, Any]


class ResponseReply:
    """One response on its way out. Every event is numbered, and ``body`` is its latest state."""

    def __init__(self, asked: ResponseBody) -> None:
        self.id = f"resp_{secrets.token_hex(24)}"
        self._asked = asked
        self._created_s = int(time.time())
        self._sequence_number = 0
        self._output: list[dict[str, Any]] = []
        self._open_text: dict[str, Any] | None = None

    def beginning(self) -> Iterator[Event]:
        for name in ("created", "in_progress"):
            yield self._event(f"response.{name}", response=self.body("in_progress"))

    def pieces(self, delta: Delta) -> Iterator[Event]:
        if delta.text:
            yield from self._say(delta.text)
        for request in delta.tools:
            yield from self._end_text("completed")
            yield from self._ask(request)

    def ending(self, reply: Gathered, usage: Usage) -> Iterator[Event]:
        status = "incomplete" if reply.finish_reason == "length" else "completed"
        yield from self._end_text(status)
        yield self._event(f"response.{status}", response=self.body(status, usage))

    def failed(self, error: ParleyError) -> Iterator[Event]:
        yield from self._end_text("incomplete")
        yield self._event("response.failed", response=self.body("failed", error=error))

    def body(
        self, status: str, usage: Usage | None = None, error: ParleyError | None = None
    ) -> dict[str, Any]:
        asked = self._asked
        is_over = status in ("completed", "incomplete", "failed")
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created_s,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "background": False,
            "error": {"code": "server_error", "message": str(error)} if error else None,
            "incomplete_details": (
                {"reason": "max_output_tokens"} if status == "incomplete" else None
            ),
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "model": asked.model,
            "output": [dict(item) for item in self._output] if is_over else [],
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": asked.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "store": asked.is_kept,
            "temperature": asked.temperature,
            "text": {"format": _text_format(asked)},
            "tool_choice": asked.tool_choice or "auto",
            "tools": [_tool(tool.model_dump()) for tool in asked.tools or ()],
            "top_p": asked.top_p,
            "truncation": "disabled",
            "usage": _usage(usage) if usage else None,
            "user": asked.user,
            "metadata": asked.metadata or {},
        }

    def _say(self, text: str) -> Iterator[Event]:
        item = self._open_text
        if item is None:
            item = self._open_text = {
                "id": f"msg_{secrets.token_hex(24)}",
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            self._output.append(item)
            yield self._event("response.output_item.added", **self._at(), item={**item})
            item["content"] = [{"type": "output_text", "text": "", "annotations": []}]
            yield self._event(
                "response.content_part.added",
                **self._at(item),
                content_index=0,
                part={**item["content"][0]},
            )
        item["content"][0]["text"] += text
        yield self._event(
            "response.output_text.delta",
            **self._at(item),
            content_index=0,
            delta=text,
            logprobs=[],
        )

    def _end_text(self, status: str) -> Iterator[Event]:
        item, self._open_text = self._open_text, None
        if item is None:
            return
        item["status"] = status
        part = item["content"][0]
        place = {**self._at(item), "content_index": 0}
        yield self._event("response.output_text.done", **place, text=part["text"], logprobs=[])
        yield self._event("response.content_part.done", **place, part={**part})
        yield self._event("response.output_item.done", **self._at(), item={**item})

    def _ask(self, request: ToolRequest) -> Iterator[Event]:
        arguments = arguments_text(request)
        item: dict[str, Any] = {
            "id": f"fc_{secrets.token_hex(24)}",
            "type": "function_call",
            "status": "in_progress",
            "call_id": request.id,
            "name": request.name,
            "arguments": "",
        }
        self._output.append(item)
        yield self._event("response.output_item.added", **self._at(), item={**item})
        place = self._at(item)
        yield self._event("response.function_call_arguments.delta", **place, delta=arguments)
        yield self._event(
            "response.function_call_arguments.done", **place, name=request.name, arguments=arguments
        )
        item |= {"status": "completed", "arguments": arguments}
        yield self._event("response.output_item.done", **self._at(), item={**item})

    def _at(self, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Where the item at hand is: always the last."""
        place: dict[str, Any] = {"output_index": len(self._output) - 1}
        return {**place, "item_id": item["id"]} if item else place

    def _event(self, type: str, **fields: Any) -> Event:
        number, self._sequence_number = self._sequence_number, self._sequence_number + 1
        return {"type": type, "sequence_number": number, **fields}


def _text_format(asked: ResponseBody) -> dict[str, Any]:
    return (asked.text.format if asked.text else None) or {"type": "text"}


def _tool(given: Mapping[str, Any]) -> dict[str, Any]:
    """Clients' types want these two, null or not; the others only where they were given."""
    needed = {"parameters": given.get("parameters"), "strict": given.get("strict")}
    return {**{key: value for key, value in given.items() if value is not None}, **needed}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
