"""Callers come, get lost, come back and go, over real WebRTC on the loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from parley.core.errors import ConnectFailed
from parley.core.events import UserTranscript
from tests.transports.webrtc.callers import (
    QUICK,
    bare_session,
    heard_s,
    loudest_part,
    packets_to,
    pipeline_session,
    say,
    share_at,
    tone,
)
from tests.transports.webrtc.conftest import settled


async def test_an_offer_that_never_connects_is_dropped_and_frees_everything(town):
    here = town(bare_session, replace(QUICK, connect_timeout_s=0.4, lost_after_s=0.4))
    caller = here.caller()
    await caller.pc.setLocalDescription(await caller.pc.createOffer())
    body = {"sdp": caller.pc.localDescription.sdp, "type": "offer"}
    before = asyncio.all_tasks()

    response = await here.http.post("/api/offer", json=body)
    call = await here.one_call()
    await call.over.wait()

    assert response.status_code == 200
    assert isinstance(call.failure, ConnectFailed)
    assert len(here.peers) == 0
    assert not here.house.places
    assert call.task is not None
    await call.task
    assert not await settled(before)


async def test_a_caller_who_vanishes_is_lost_and_after_the_grace_gone(town):
    here = town(bare_session, replace(QUICK, lost_after_s=0.6, reconnect_grace_s=0.4))
    caller = here.caller()
    await caller.call()
    call = await here.one_call()
    await call.connected.wait()

    await caller.vanish()
    async with asyncio.timeout(4):
        await call.over.wait()

    assert call.reason == "error"
    assert len(here.peers) == 0


async def test_a_lost_caller_who_comes_back_finds_the_same_session(town):
    here = town(pipeline_session, replace(QUICK, lost_after_s=0.6, reconnect_grace_s=10))
    first = here.caller(channel=True)
    answer = await first.call()
    call = await here.one_call()
    await call.connected.wait()
    await first.vanish()
    second = here.caller(says=tone(440, 1500, 48_000), channel=True)
    call.heard.clear()

    again = await second.call(pc_id=answer["pc_id"], restart_pc=True)
    await second.until_open()
    second.send({"label": "rtvi-ai", "type": "client-ready", "id": "2"})
    await call.until(lambda: heard_s(call.heard, 16_000) >= 1.0 and bool(call.messages))
    await say(call, tone(880, 500, 24_000))
    await second.until(lambda: heard_s(second.heard, 48_000) >= 0.48)
    await call.media.deliver(UserTranscript(call_id="c", text="still here", final=True))
    await second.until(lambda: bool(second.received))

    assert again["session_id"] == answer["session_id"]
    assert again["pc_id"] != answer["pc_id"]
    assert len(here.house.calls) == call.times_connected == len(here.peers) == 1
    assert not call.over.is_set()


async def test_the_goodbye_of_a_replaced_connection_does_not_end_the_call(town):
    here = town(bare_session)
    first = here.caller(channel=True)
    answer = await first.call()
    await first.until_open()
    call = await here.one_call()
    second = here.caller()
    await second.call(pc_id=answer["pc_id"], restart_pc=True)
    await second.until(lambda: second.pc.connectionState == "connected")
    first.send({"type": "goodbye"})
    await packets_to(call, 50)

    assert not call.over.is_set()


async def test_a_second_connection_may_be_up_before_the_first_is_closed(town):
    here = town(bare_session)
    first = here.caller()
    answer = await first.call()
    call = await here.one_call()
    await call.connected.wait()

    second = here.caller()
    await second.call(pc_id=answer["pc_id"], restart_pc=True)
    await second.until(lambda: second.pc.connectionState == "connected")
    await first.close()
    third = here.caller()
    await third.call(pc_id=answer["pc_id"], restart_pc=True)
    await third.until(lambda: third.pc.connectionState == "connected")
    await second.close()

    assert not call.over.is_set()
    await third.close()
    await call.over.wait()
    assert call.reason == "caller"


async def test_a_restart_with_a_broken_offer_leaves_the_call_as_it_is(town):
    here = town(bare_session)
    caller = here.caller()
    answer = await caller.call()
    call = await here.one_call()
    await call.connected.wait()

    refused = await here.http.post(
        "/api/offer",
        json={"sdp": "v=0\r\n", "type": "offer", "pc_id": answer["pc_id"], "restart_pc": True},
    )

    assert refused.status_code == 400
    assert not call.over.is_set()
    assert caller.pc.connectionState == "connected"


async def test_a_further_offer_on_the_same_connection_is_answered_on_it(town):
    here = town(pipeline_session)
    caller = here.caller(says=tone(440, 3000, 48_000))
    answer = await caller.call()
    call = await here.one_call()
    await call.connected.wait()

    again = await caller.call(pc_id=answer["pc_id"])
    call.heard.clear()
    await call.until(lambda: len(call.heard) >= 16_000)

    assert again["pc_id"] == answer["pc_id"]
    assert "PCMU" not in again["sdp"]
    assert share_at(loudest_part(bytes(call.heard), 16_000), 440, 16_000) > 0.99


async def test_a_page_that_pinged_and_then_stalls_goes_on_hearing(town):
    here = town(pipeline_session)
    caller = here.caller(channel=True)
    await caller.call()
    await caller.until_open()
    call = await here.one_call()
    caller.send("ping")
    connection = call.media.connection
    assert connection is not None
    # Pipecat's own connection would call itself dead from here on.
    connection._last_received_time = 1.0

    await say(call, tone(880, 500, 24_000))
    await caller.until(lambda: heard_s(caller.heard, 48_000) >= 0.48)

    assert connection.is_connected()
    assert call.messages == []


async def test_garbage_on_the_data_channel_is_ignored(town):
    here = town(pipeline_session)
    caller = here.caller(channel=True)
    await caller.call()
    await caller.until_open()
    for garbage in ("{", "[1]", "null", '{"type": "signalling"}', "ping 1"):
        caller.send(garbage)

    caller.send({"label": "rtvi-ai", "type": "client-ready", "id": "1"})
    call = await here.one_call()
    await call.until(lambda: bool(call.messages))

    assert [message["type"] for message in call.messages] == ["client-ready"]


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60])
async def test_hanging_up_in_any_moment_of_the_connecting_leaves_nothing(town, steps):
    here = town(bare_session)
    caller = here.caller(channel=True)
    await caller.call()
    call = await here.one_call()

    for _ in range(steps):
        # Two milliseconds of ICE and DTLS; the fixture looks for what is left.
        await asyncio.sleep(0.002)
    await call.media.hang_up("agent")
    await call.over.wait()

    assert len(here.peers) == 0


async def test_hanging_up_may_be_repeated(town):
    here = town(bare_session)
    await here.caller().call()
    call = await here.one_call()

    await call.media.hang_up("agent")
    await call.media.hang_up("error")

    assert await call.media.gone() == "agent"
