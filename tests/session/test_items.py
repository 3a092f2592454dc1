"""The conversation's messages by name."""

from __future__ import annotations

from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMContext

from parley.core.errors import NotFound
from parley.engines.spec import ToolRequest
from parley.session.items import FRONT, Items

SYSTEM = {"role": "system", "content": "Be kind."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def context_of(*messages: dict[str, Any]) -> LLMContext:
    everything: list[Any] = [dict(SYSTEM), *messages]
    return LLMContext(everything)


def texts(context: LLMContext) -> list[str]:
    messages: list[Any] = context.get_messages()
    return [str(message["content"]) for message in messages]


def test_items_go_behind_the_one_named_to_the_front_or_to_the_end():
    context = context_of()
    items = Items(context)

    items.insert("b", user("second"))
    items.insert("d", user("fourth"))
    items.insert("c", user("third"), "b")
    items.insert("a", user("first"), FRONT)

    assert texts(context) == ["Be kind.", "first", "second", "third", "fourth"]


def test_an_item_behind_one_that_is_not_there_is_refused_and_nothing_changes():
    context = context_of(user("hello"))

    with pytest.raises(NotFound):
        Items(context).insert("b", user("lost"), "nobody")

    assert texts(context) == ["Be kind.", "hello"]


def test_what_was_not_heard_is_taken_out_of_a_message_and_an_unheard_message_goes():
    context = context_of({"role": "assistant", "content": "One two three."}, user("what?"))
    items = Items(context)
    items.name_last("a", "assistant")

    items.truncate("a", "One two")
    assert texts(context) == ["Be kind.", "One two", "what?"]
    items.truncate("a", "")
    assert texts(context) == ["Be kind.", "what?"]


def test_a_change_that_comes_before_its_message_is_kept_for_it():
    context = context_of()
    items = Items(context)

    items.truncate("a", "One")
    items.delete("b")
    context.add_message({"role": "assistant", "content": "One two three."})
    items.name_last("a", "assistant")
    context.add_message({"role": "assistant", "content": "Never said."})
    items.name_last("b", "assistant")

    assert texts(context) == ["Be kind.", "One"]


def test_a_tools_answer_goes_right_behind_the_request_for_it():
    context = context_of(user("book it"))
    items = Items(context)

    requests = [ToolRequest("call_1", "book", {}), ToolRequest("call_2", "tell", {})]
    items.request_tools(["r1", "r2"], requests)
    items.insert("u", user("and hurry"))
    items.insert("o2", {"role": "tool", "tool_call_id": "call_2", "content": "told"})
    items.insert("o1", {"role": "tool", "tool_call_id": "call_1", "content": "booked"})

    assert texts(context) == ["Be kind.", "book it", "", "told", "booked", "and hurry"]


def test_of_several_tool_requests_one_can_be_taken_out():
    context = context_of()
    items = Items(context)
    requests = [ToolRequest("call_1", "book", {}), ToolRequest("call_2", "tell", {})]
    items.request_tools(["r1", "r2"], requests)

    items.delete("r1")
    messages: list[Any] = context.get_messages()
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call_2"]
    items.delete("r2")
    assert texts(context) == ["Be kind."]
