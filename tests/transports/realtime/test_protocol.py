"""Messages that are no events, and events that are not understood."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.core.errors import TooLarge
from parley.core.json_marks import MOST_MARKS
from parley.session.turns import Listening
from parley.transports.realtime.client_events import CLIENT_EVENTS, read_object
from parley.transports.realtime.sound import MOST_APPEND_BYTES, in_turns, unpacked
from parley.transports.realtime.wire import Fault
from tests.transports.realtime.house import RealtimeHouse, realtime_house

NOT_UNDERSTOOD: list[tuple[str | bytes, str, str | None]] = [
    ("", "invalid_json", None),
    ("{", "invalid_json", None),
    ("[]", "invalid_json", None),
    ('"session.update"', "invalid_json", None),
    ("[" * 100_000, "invalid_json", None),
    ("1" * 10_000, "invalid_json", None),
    (b"\xff\xfe\x00", "invalid_json", None),
    (r'{"type": "x\ud800"}', "invalid_json", None),
    ("{}", "missing_required_parameter", "type"),
    ('{"type": 5}', "missing_required_parameter", "type"),
    ('{"type": "session.upate"}', "invalid_value", "type"),
    ('{"type": "session.update"}', "missing_required_parameter", "session"),
    ('{"type": "session.update", "session": []}', "invalid_value", "session"),
    ('{"type": "input_audio_buffer.append", "audio": "§"}', "invalid_value", "audio"),
    ('{"type": "input_audio_buffer.append", "audio": 5}', "invalid_value", "audio"),
    (
        '{"type": "conversation.item.truncate", "item_id": "x", "content_index": 0,'
        ' "audio_end_ms": -1}',
        "invalid_value",
        "audio_end_ms",
    ),
]


async def test_what_is_not_understood_is_named_and_the_session_goes_on(listening: Listening):
    named: list[tuple[str, str, str | None]] = []
    async with realtime_house(listening) as house, house.client() as client:
        for message, _, _ in NOT_UNDERSTOOD:
            await client.raw(message)
            error = await client.error()
            named.append((error["type"], error["code"], error["param"]))
        await client.update(instructions="Still here.")

    assert named == [("invalid_request_error", code, param) for _, code, param in NOT_UNDERSTOOD]


async def test_json_in_a_binary_frame_is_an_event_too(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        event = {"type": "session.update", "session": {"type": "realtime", "instructions": "Hm."}}
        await client.raw(json.dumps(event).encode())
        session = (await client.until("session.updated"))["session"]

    assert session["instructions"] == "Hm."


async def test_an_error_tells_which_event_it_is_about(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.send("response.cancel", event_id="event_of_mine")
        error = await client.error()

    assert (error["event_id"], error["code"]) == ("event_of_mine", "response_cancel_not_active")


async def test_a_near_miss_is_told_the_right_name(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.send("response.creat")
        error = await client.error()

    assert "response.create" in error["message"]


async def test_every_event_has_a_name_of_its_own(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.write("Hello.")
        await client.ask()

    names = [event["event_id"] for event in client.told]
    assert len(set(names)) == len(names)


def test_every_event_of_the_sdk_is_known():
    from typing import get_args

    from openai.types.realtime import RealtimeClientEvent

    union = get_args(RealtimeClientEvent)[0]
    kinds = {get_args(each.model_fields["type"].annotation)[0] for each in get_args(union)}

    assert kinds == set(CLIENT_EVENTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "audio",
                    "input",
                    "content",
                    "id",
                    "role",
                    "output",
                    "tools",
                    "format",
                    "text",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["session", "audio", "item", "response", "item_id", "previous_item_id"]),
    JSON,
    max_size=4,
)


async def test_whatever_is_sent_the_session_goes_on(listening: Listening):
    async with realtime_house(listening) as house:
        await _fuzz(house)


async def _fuzz(house: RealtimeHouse) -> None:
    sent: list[dict[str, Any]] = []

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(CLIENT_EVENTS)), FIELDS)
    def gather(kind: str, fields: dict[str, Any]) -> None:
        sent.append({**fields, "type": kind})

    gather()
    async with house.client() as client:
        for event in sent:
            await client.raw(json.dumps(event))
        last = await client.update()

    assert last["id"] == client.told[0]["session"]["id"]
    assert {e["error"]["type"] for e in client.all("error")} == {"invalid_request_error"}


async def test_others_have_their_turn_while_megabytes_of_sound_are_taken():
    pieces: list[int] = []
    rounds = 0

    async def count_rounds() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_rounds())
    sound = base64.b64encode(bytes(MOST_APPEND_BYTES)).decode()
    event = await read_object(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))
    async for piece in in_turns(await unpacked(event["audio"])):
        pieces.append(len(piece))
    counting.cancel()

    assert sum(pieces) == MOST_APPEND_BYTES
    assert rounds >= 2 * len(pieces) - 2 and max(pieces) < 64 * 1024


async def test_sound_beyond_the_limit_and_sound_that_is_none_are_refused():
    with pytest.raises(Fault, match="at most"):
        await unpacked("AAAA" * (MOST_APPEND_BYTES // 3 + 1))
    with pytest.raises(Fault, match="not base64"):
        await unpacked("AAA?")


async def test_an_event_of_very_many_values_is_refused_unread():
    with pytest.raises(TooLarge):
        await read_object('{"type":[' + "[]," * MOST_MARKS)
