"""What a PBX is refused, and that its faults are its own."""

from __future__ import annotations

import pytest

from parley.session.turns import Listening
from parley.transports.rustpbx.door import PATH
from parley.transports.rustpbx.options import RustPbxOptions
from tests.transports.rustpbx.house import MUTE, pbx, pbx_house, status_of


async def test_a_full_house_refuses_the_handshake(listening: Listening):
    async with pbx_house(listening, max_calls=0) as house:
        refused = await status_of(f"{house.address}{PATH}")

    assert refused == 503


async def test_a_full_house_tells_a_socket_that_brings_a_new_call(listening: Listening):
    options = RustPbxOptions(max_calls=1)
    async with pbx_house(listening, agents=[MUTE], options=options) as house, house.pbx() as first:
        await first.configure("rustpbx_1")
        async with house.pbx() as second:
            await second.send("configure", room_id="rustpbx_2")
            error = await second.until("error")
            code = await second.over()

    assert (error["code"], code) == (503, 1013)


async def test_a_line_is_taken_before_its_call_begins(listening: Listening):
    options = RustPbxOptions(max_calls=1)
    async with (
        pbx_house(listening, agents=[MUTE], options=options) as house,
        house.pbx() as first,
        house.pbx() as second,
    ):
        await second.until("connected")
        await first.configure("rustpbx_1")
        await second.send("configure", room_id="rustpbx_2")
        code = await second.over()
        live = house.host.live_calls

    assert (code, live) == (1013, 1)


async def test_a_url_that_makes_no_sense_is_refused(listening: Listening):
    queries = ("?agent=nobody", "?room=none", "?rate=44100", "?audio=mp3", "?tick=maybe")
    async with pbx_house(listening) as house:
        refused = [await status_of(f"{house.address}{PATH}{query}") for query in queries]

    assert refused == [404, 404, 400, 400, 400]


async def test_sockets_are_limited_for_each_peer(listening: Listening):
    options = RustPbxOptions(sockets_per_peer=1)
    async with pbx_house(listening, options=options) as house:
        async with house.pbx() as pbx:
            await pbx.configure()
            refused = await status_of(f"{house.address}{PATH}")
        await house.until("call_ended")
        async with house.pbx() as again:
            await again.until("connected")

    assert refused == 429


async def test_sockets_are_limited_in_how_fast_they_come(listening: Listening):
    options = RustPbxOptions(sockets_per_s=1)
    async with pbx_house(listening, options=options) as house, house.pbx() as pbx:
        await pbx.until("connected")

        assert await status_of(f"{house.address}{PATH}") == 429


async def test_what_cannot_be_read_is_answered_and_the_call_goes_on(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        await pbx.configure()
        for text in ("no json", "[]", '{"command":"dance"}', '{"command":"audio"}'):
            await pbx.socket.send(text)
        await pbx.send("ping", timestamp=1)
        await pbx.until("pong")

    assert [error["code"] for error in pbx.all("error")] == [400] * 4


async def test_who_sends_nothing_but_nonsense_is_let_go(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, pbx(f"{house.address}{PATH}") as odd:
        for _ in range(101):
            await odd.socket.send("{")
        code = await odd.over()

    assert code == 1008


async def test_who_floods_the_socket_is_not_read_any_faster(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parley.transports.reading_pace.MESSAGES_PER_S", 0.001)
    monkeypatch.setattr("parley.transports.reading_pace.PAUSE_S", 3600.0)
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        for number in (1, 2, 3):
            await pbx.send("ping", timestamp=number)
        await pbx.until("pong", timestamp=2)
        await pbx.ticked(10)
        answered = len(pbx.all("pong"))
    await house.until("call_ended")

    # The one that is let pass, and the one that was read by then.
    assert answered == 2


@pytest.mark.parametrize("message", [b"\0" * (2 * 1024 * 1024 + 2), " " * (1024 * 1024 + 1)])
async def test_a_message_that_is_too_large_closes_its_own_socket_alone(
    listening: Listening, message: str | bytes
):
    async with (
        pbx_house(listening, agents=[MUTE]) as house,
        house.pbx() as other,
        house.pbx() as pbx,
    ):
        await other.configure("rustpbx_other")
        await pbx.socket.send(message)
        code = await pbx.over()
        await other.send("ping", timestamp=1)
        await other.until("pong")

    assert code == 1009
