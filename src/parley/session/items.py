"""The conversation's messages by name, so that one can be put in, changed or taken out later."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage

from parley.core.errors import NotFound
from parley.engines.spec import Message, ToolRequest
from parley.session.toolbelt import as_call

FRONT = "root"
"""In the place of an item's name: before all others, right behind the instructions."""
_MOST_FORETOLD = 100
_MOST_NAMED = 2000


def new_item_id() -> str:
    return f"item_{secrets.token_hex(10)}"


@dataclass(frozen=True)
class _Place:
    """The message that holds the item; of several tool requests in one message, which."""

    message: Message
    tool_call_id: str = ""


class Items:
    """Names for the messages of one conversation.

    A message that the pipeline writes gets its name with ``name``; a change that comes before its
    message does is kept for it.
    """

    def __init__(self, context: LLMContext) -> None:
        self._context = context
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._foretold: OrderedDict[str, str | None] = OrderedDict()

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._places

    def name(self, item_id: str, message: Message) -> None:
        """The message that the pipeline has just written is that item."""
        self._keep(item_id, _Place(message))
        if item_id in self._foretold:
            heard = self._foretold.pop(item_id)
            if heard is None:
                self.delete(item_id)
            else:
                self.truncate(item_id, heard)

    def name_last(self, item_id: str, role: str) -> None:
        """Name the newest message of that role."""
        for message in reversed(self._messages()):
            if message.get("role") == role:
                self.name(item_id, message)
                return

    def insert(self, item_id: str, message: Message, after: str = "") -> None:
        """Put a message behind the item ``after``, to the front, or ("") to the end.

        A tool's answer goes where models expect it: right behind the request for it. Raises
        ``NotFound``.
        """
        messages = self._messages()
        at = self._position(messages, after)
        if message.get("role") == "tool":
            at = _behind_request(messages, str(message.get("tool_call_id"))) or at
        messages.insert(at, message)
        self._keep(item_id, _Place(message))
        self._set(messages)

    def request_tools(
        self, item_ids: Sequence[str], requests: Sequence[ToolRequest], after: str = ""
    ) -> None:
        """The model has asked for tools: one message, an item for each request."""
        message: Message = {
            "role": "assistant",
            "content": "",
            "tool_calls": [as_call(request) for request in requests],
        }
        messages = self._messages()
        messages.insert(self._position(messages, after), message)
        for item_id, request in zip(item_ids, requests, strict=False):
            self._keep(item_id, _Place(message, request.id))
        self._set(messages)

    def delete(self, item_id: str) -> None:
        """Take the item out of what the model sees."""
        place = self._places.pop(item_id, None)
        if place is None:
            self._foretell(item_id, None)
            return
        calls = cast(list[dict[str, Any]], place.message.get("tool_calls") or [])
        calls[:] = [call for call in calls if call["id"] != place.tool_call_id]
        if not (place.tool_call_id and calls):
            self._set([each for each in self._messages() if each is not place.message])

    def truncate(self, item_id: str, heard: str) -> None:
        """Of what the agent said only ``heard`` was heard."""
        place = self._places.get(item_id)
        if place is None:
            self._foretell(item_id, heard)
        elif heard:
            place.message["content"] = heard
        else:
            self.delete(item_id)

    def _keep(self, item_id: str, place: _Place) -> None:
        self._places[item_id] = place
        if len(self._places) > _MOST_NAMED:
            self._places.popitem(last=False)

    def _foretell(self, item_id: str, heard: str | None) -> None:
        self._foretold[item_id] = heard
        if len(self._foretold) > _MOST_FORETOLD:
            self._foretold.popitem(last=False)

    def _position(self, messages: Sequence[Message], after: str) -> int:
        if not after:
            return len(messages)
        if after == FRONT:
            instructed = bool(messages) and messages[0].get("role") == "system"
            return 1 if instructed else 0
        place = self._places.get(after)
        for at, message in enumerate(messages):
            if place is not None and message is place.message:
                return at + 1
        raise NotFound(
            f"There is no item {after}.",
            hint="It may have been summed up or deleted.",
            param="previous_item_id",
        )

    def _messages(self) -> list[Message]:
        return list(cast("list[Message]", self._context.get_messages()))

    def _set(self, messages: Sequence[Message]) -> None:
        self._context.set_messages(cast("list[LLMContextMessage]", list(messages)))


def _behind_request(messages: Sequence[Message], tool_call_id: str) -> int:
    """Where the answer to a request belongs; 0 if nobody asked."""
    for at, message in enumerate(messages):
        calls = cast(Sequence[dict[str, Any]], message.get("tool_calls") or ())
        if any(call.get("id") == tool_call_id for call in calls):
            end = at + 1
            while end < len(messages) and messages[end].get("role") == "tool":
                end += 1
            return end
    return 0
