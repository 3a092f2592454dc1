"""How calls of a PBX end, and how another socket carries them on."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.events import CallEnded
from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from parley.transports.rustpbx.door import PATH
from parley.transports.rustpbx.options import RustPbxOptions
from tests.transports.rustpbx.house import MUTE, PATIENCE_S, pbx_house, status_of


async def test_a_goodbye_ends_the_call_at_once(listening: Listening):
    options = RustPbxOptions(grace_s=60)
    async with pbx_house(listening, options=options) as house, house.pbx() as pbx:
        await pbx.configure()
        await pbx.send("disconnect", reason="Client disconnect")
        code = await pbx.over()
        ended = await house.until("call_ended")

    assert (code, ended.reason) == (1000, "caller")
    assert house.rooms.count == 0


async def test_a_socket_that_breaks_off_ends_the_call_after_a_grace(listening: Listening):
    options = RustPbxOptions(grace_s=0.1)
    async with pbx_house(listening, options=options) as house, house.pbx() as pbx:
        await pbx.configure()
        pbx.socket.transport.abort()
        ended = await house.until("call_ended")

    assert ended.reason == "caller"
    assert house.door.lines.sockets == house.rooms.count == 0


async def test_a_pbx_that_sends_no_sound_any_more_has_hung_up(listening: Listening):
    options = RustPbxOptions(silent_s=0.3)
    async with pbx_house(listening, agents=[MUTE], options=options) as house, house.pbx() as pbx:
        await pbx.configure()
        await pbx.socket.send(bytes(640))
        ended = await house.until("call_ended")
        code = await pbx.over()

    assert (ended.reason, code) == ("caller", 1000)


async def test_a_call_may_last_only_so_long(listening: Listening):
    options = RustPbxOptions(call_s=0.3)
    async with pbx_house(listening, agents=[MUTE], options=options) as house, house.pbx() as pbx:
        await pbx.configure()
        ended = await house.until("call_ended")

    assert ended.reason == "limit"


async def test_a_house_that_goes_down_says_goodbye(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        await pbx.configure()
        await house.until("media_started")
        await house.host.drain(0)
        code = await pbx.over()
        refused = await status_of(f"{house.address}{PATH}")

    assert (code, refused) == (1001, 503)


async def test_a_socket_that_names_its_call_too_late_for_a_house_going_down_gets_none(
    listening: Listening,
):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        await pbx.until("connected")
        await house.host.drain(0)
        await pbx.send("configure", room_id="rustpbx_1")
        code = await pbx.over()

    assert (code, house.events) == (1001, [])


async def test_deleting_a_calls_room_hangs_up(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        await pbx.configure("rustpbx_1")
        await house.until("media_started")
        house.rooms.delete("default", "rustpbx_1")
        ended = await house.until("call_ended")
        code = await pbx.over()

    assert (ended.reason, code) == ("agent", 1000)


# ── several sockets ──────────────────────────────────────────────────────────────────────────


async def test_the_newest_socket_of_a_room_carries_the_conversation_on(
    listening: Listening, words: bytes
):
    stt = FakeTranscriber("my name is anna", "who am i")
    async with (
        pbx_house(listening, agents=[MUTE], stt=stt, max_calls=1) as house,
        house.pbx() as older,
    ):
        await older.configure("rustpbx_1")
        await older.say(words)
        await older.until("llm_response", is_complete=True)
        async with house.pbx() as newer:
            await newer.configure("rustpbx_1")
            code = await older.over()
            await newer.say(words)
            await newer.until("llm_response", is_complete=True)
        ended = await house.until("call_ended")

    said = [m["content"] for m in house.calls.llm.asked[-1] if m["role"] == "user"]
    assert said == ["my name is anna", "who am i"]
    assert (code, ended.reason) == (1000, "caller")
    assert sum(isinstance(event, CallEnded) for event in house.events) == 1


async def test_a_socket_that_breaks_off_may_come_back_within_the_grace(
    listening: Listening, words: bytes
):
    options, stt = RustPbxOptions(grace_s=30), FakeTranscriber("still there")
    async with pbx_house(listening, agents=[MUTE], options=options, stt=stt) as house:
        async with house.pbx() as older:
            await older.configure("rustpbx_1")
            older.socket.transport.abort()
        async with house.pbx() as newer:
            await newer.configure("rustpbx_1")
            await newer.say(words)
            heard = await newer.until("transcription", is_final=True)
        await house.until("call_ended")

    assert heard["text"] == "still there"
    assert len([each for each in house.events if each.name == "call_started"]) == 1


async def test_sockets_that_are_opened_at_once_need_one_line_for_their_call(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parley.transports.rustpbx.visit.CONFIGURE_WITHIN_S", PATIENCE_S)
    options = RustPbxOptions(max_calls=1)
    async with (
        pbx_house(listening, agents=[MUTE], options=options) as house,
        house.pbx() as older,
        house.pbx() as newer,
    ):
        await older.configure("rustpbx_1")
        configured = await newer.configure("rustpbx_1")
        code = await older.over()

    assert (configured["call_id"], code) == ("rustpbx_1", 1000)


async def test_a_call_may_come_back_while_the_house_goes_down(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parley.transports.rustpbx.visit.CONFIGURE_WITHIN_S", PATIENCE_S)
    options = RustPbxOptions(grace_s=30)
    async with pbx_house(listening, agents=[MUTE], options=options) as house:
        async with house.pbx() as older:
            await older.configure("rustpbx_1")
            await house.until("media_started")
            older.socket.transport.abort()
        draining = asyncio.create_task(house.host.drain(30))
        async with house.pbx() as newer, house.pbx() as stranger:
            configured = await newer.configure("rustpbx_1")
            await stranger.send("configure", room_id="rustpbx_2")
            code = await stranger.over()
        await draining
        ended = await house.until("call_ended")

    assert configured["call_id"] == "rustpbx_1"
    assert (code, ended.reason) == (1001, "caller")
    assert [each.name for each in house.events].count("call_started") == 1


async def test_a_newer_socket_wins_even_if_it_is_configured_first(listening: Listening):
    async with (
        pbx_house(listening, agents=[MUTE]) as house,
        house.pbx() as older,
        house.pbx() as newer,
    ):
        await older.until("connected")
        await newer.configure("rustpbx_1")
        await older.send("configure", room_id="rustpbx_1")
        code = await older.over()
        await newer.send("ping", timestamp=1)
        await newer.until("pong")

    assert code == 1000


async def test_sound_of_a_socket_that_came_too_late_begins_no_call(listening: Listening):
    async with (
        pbx_house(listening, agents=[MUTE]) as house,
        house.pbx() as older,
        house.pbx() as newer,
    ):
        await older.until("connected")
        await newer.configure("rustpbx_1")
        await older.send("configure", room_id="rustpbx_1")
        for _ in range(20):
            await older.socket.send(bytes(640))
        await older.over()
        await newer.send("disconnect")
        await house.until("call_ended")

    assert [each.name for each in house.events].count("call_started") == 1


async def test_a_socket_that_tells_late_whose_it_is_leaves_its_own_call(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as older:
        await older.configure("rustpbx_1")
        async with house.pbx() as newer:
            await newer.socket.send(bytes(640))
            await house.until("call_started", 2)
            await newer.configure("rustpbx_1")
            await older.over()
            ended = await house.until("call_ended")
            room = house.rooms.get("default", "rustpbx_1")

    assert room.call is None or room.call.call_id != ended.call_id
    assert [each.name for each in house.events].count("call_started") == 2
