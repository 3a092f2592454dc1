"""What tools had done when a written turn broke off, so that it isn't done again.

A client that gets an error, or none at all, asks the same once more: most do so by themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from parley.engines.spec import Message, ToolRequest

AT_WORK = (
    "IN_PROGRESS: it was at work when the conversation broke off, and nobody knows yet what came "
    "of it. Don't use it again; say so."
)
BROKEN_OFF = {"error": "It was broken off before it had done anything."}


class ToolUses:
    """One turn's, as far as they have come."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def add(self, request: ToolRequest, task: asyncio.Task[Any]) -> None:
        self._tasks[request.id] = task

    def messages(self, wanted: Sequence[ToolRequest]) -> list[Message]:
        """Results, as far as there are any; the others are put in when they come."""
        return [self._message(request) for request in wanted]

    def _message(self, request: ToolRequest) -> Message:
        message: Message = {"role": "tool", "tool_call_id": request.id}
        task = self._tasks.get(request.id)
        if task is None:
            return message | {"content": content_of(BROKEN_OFF)}
        message["content"] = AT_WORK
        if task.done():
            _fill(message, task)
        else:
            task.add_done_callback(partial(_fill, message))
        return message


def _fill(message: Message, task: asyncio.Task[Any]) -> None:
    is_known = not task.cancelled() and task.exception() is None
    message["content"] = content_of(task.result() if is_known else BROKEN_OFF)


def content_of(result: Any) -> str:
    """A tool's result, as the model reads it."""
    return json.dumps(result, ensure_ascii=False, default=str)
