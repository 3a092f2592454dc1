"""The conversation as its client knows it has bounds that hold whatever the client puts in."""

from __future__ import annotations

from typing import Any

import pytest

from parley.transports.realtime.record import MOST_CHARACTERS, MOST_ITEMS, Record
from parley.transports.realtime.wire import Fault


def item(name: str, text: str = "x") -> dict[str, Any]:
    return {"id": name, "type": "message", "content": [{"type": "input_text", "text": text}]}


def test_no_more_items_are_put_in_than_there_may_be_until_one_is_deleted():
    record = Record()
    for number in range(MOST_ITEMS):
        record.require_room(item(str(number)))
        record.add(item(str(number)))

    with pytest.raises(Fault) as refused:
        record.require_room(item("more"))
    record.delete("7")
    record.require_room(item("more"))

    assert refused.value.code == "too_many_items"


def test_what_is_said_is_never_refused_and_the_oldest_is_forgotten():
    record = Record()
    for number in range(MOST_ITEMS + 3):
        record.add(item(str(number)))

    assert "2" not in record and "3" in record
    assert len(record.items()) == MOST_ITEMS


def test_arguments_and_answers_of_functions_count_as_text():
    record = Record()
    record.add({"id": "call", "type": "function_call", "arguments": "x" * MOST_CHARACTERS})

    with pytest.raises(Fault):
        record.require_room({"id": "answer", "type": "function_call_output", "output": "x"})
