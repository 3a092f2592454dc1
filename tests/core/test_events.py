"""Events are facts with a name that the wire, the logs and the docs share."""

import dataclasses
import json

import pytest

from parley.core.call import CallInfo
from parley.core.events import CallStarted, TurnEnded, event_name, event_types


def test_names_are_snake_case_and_unique():
    names = [event_name(event_type) for event_type in event_types()]

    assert "user_speech_started" in names
    assert len(names) == len(set(names))


def test_an_event_can_be_sent_as_json():
    call = CallInfo(agent="receptionist", transport="webrtc")
    started = CallStarted(call_id=call.id, call=call)
    ended = TurnEnded(call_id=call.id, stages={"reply_ms": 512.5}, interrupted=False)

    wire = [json.loads(json.dumps(event.to_dict())) for event in (started, ended)]

    assert wire[0]["event"] == "call_started"
    assert wire[0]["call"]["agent"] == "receptionist"
    assert wire[1] | {"at_s": 0} == {
        "event": "turn_ended",
        "call_id": call.id,
        "at_s": 0,
        "stages": {"reply_ms": 512.5},
        "interrupted": False,
        "heard": "",
    }


def test_events_cannot_be_changed():
    event = TurnEnded(call_id="c", stages={}, interrupted=False)

    with pytest.raises(dataclasses.FrozenInstanceError):
        event.interrupted = True  # type: ignore[misc]
