"""What is asked within a call through endpoint.cfg, by either side: hold, keys, transfer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiortc.rtp import RtpPacket

from parley.core.errors import FarSideRefused, ParleyError
from parley.session.turns import Listening
from tests.opensips_real.endpoint import MUTE, Desk, Endpoint, desk_at
from tests.opensips_real.phones import routed_caller
from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.phone import SDP_LINE
from tests.transports.sip.rtp.far_end import EVENTS, sdp
from tests.transports.sip.sipp import Sipp

RELAY = "Content-Type: application/dtmf-relay\r\n"
STATE = "Event: refer\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n"


@pytest.fixture
async def desk(endpoint: Endpoint, listening: Listening) -> AsyncIterator[Desk]:
    async with desk_at(endpoint, listening, agents=[MUTE]) as desk:
        yield desk


@pytest.fixture
async def caller(endpoint: Endpoint, desk: Desk) -> AsyncIterator[PhoneCaller]:
    """Somebody who is in a call."""
    async with routed_caller(endpoint.port) as caller:
        await caller.call()
        await desk.until("media_started")
        yield caller
        await desk.is_free()


async def test_the_callers_hold_is_told_and_taken_back(desk: Desk, caller: PhoneCaller) -> None:
    held = await caller.offer("sendonly")
    await desk.until("call_held")
    resumed = await caller.offer("sendrecv")
    await desk.until("call_resumed")

    assert "a=recvonly" in held.body
    assert "a=sendrecv" in resumed.body
    caller.leave()


async def test_sipp_holds_resumes_and_hangs_up(
    endpoint: Endpoint, desk: Desk, tmp_path: Path
) -> None:
    await Sipp(tmp_path).call(endpoint.port, "hold")

    assert (await desk.until("call_ended")).reason == "caller"
    assert (desk.count("call_held"), desk.count("call_resumed")) == (1, 1)
    await desk.is_free()


async def test_a_change_that_can_not_be_leaves_the_call_as_it_was(caller: PhoneCaller) -> None:
    refused = await caller.ask("INVITE", extra=SDP_LINE, body=sdp(formats="18"))
    still = await caller.offer("sendrecv")

    assert (refused.status, still.status) == (488, 200)
    caller.leave()


async def test_we_hold_and_resume(desk: Desk, caller: PhoneCaller) -> None:
    control = await desk.control()
    for ours, theirs in (("sendonly", "recvonly"), ("sendrecv", "sendrecv")):
        changing = asyncio.create_task(control.hold() if ours == "sendonly" else control.resume())
        asked = await caller.phone.hear("INVITE")
        lines = (*EVENTS, f"a={theirs}")
        body = sdp(caller.sound.port, formats="0 96", lines=lines)
        caller.phone.reply(asked, "200 OK", SDP_LINE, body)
        await caller.phone.hear("ACK")
        await changing

        assert f"a={ours}" in asked.body
    caller.leave()


async def test_a_caller_who_hangs_up_while_we_change_the_call_is_gone(
    desk: Desk, caller: PhoneCaller
) -> None:
    changing = asyncio.create_task((await desk.control()).hold())
    asked = await caller.phone.hear("INVITE")
    caller.leave()
    # Some versions answer 491 to such a BYE.
    await caller.phone.hear(200, 491)
    caller.phone.reply(asked, "481 Gone")
    with pytest.raises(ParleyError):
        await changing

    await desk.until("call_ended")


async def test_a_key_by_info_is_told_and_another_body_refused(
    desk: Desk, caller: PhoneCaller
) -> None:
    key = await caller.ask("INFO", extra=RELAY, body="Signal=5\r\nDuration=160\r\n")
    wrong = await caller.ask("INFO", extra="Content-Type: text/plain\r\n", body="hi")

    assert (await desk.until("dtmf_received")).digit == "5"
    assert (key.status, wrong.status) == (200, 415)
    caller.leave()


async def test_a_key_beside_the_sound_is_told(desk: Desk, caller: PhoneCaller) -> None:
    caller.sound.play(_event_packets(11), caller.far_port)

    assert (await desk.until("dtmf_received")).digit == "#"
    caller.leave()


async def test_sipp_presses_a_key(endpoint: Endpoint, desk: Desk, tmp_path: Path) -> None:
    await Sipp(tmp_path).call(endpoint.port, "info")

    assert (await desk.until("dtmf_received")).digit == "5"
    await desk.is_free()


async def test_we_press_keys_beside_our_sound(desk: Desk, caller: PhoneCaller) -> None:
    await (await desk.control()).send_digits("42")

    events = [packet for packet in caller.sound.packets if packet.payload_type == 96]
    digits = [p.payload[0] for p in sorted(events, key=lambda p: p.timestamp) if p.marker]
    assert digits == [4, 2]
    caller.leave()


async def test_we_press_a_key_by_info_where_none_is_taken_beside_the_sound(
    endpoint: Endpoint, desk: Desk
) -> None:
    async with routed_caller(endpoint.port) as caller:
        await caller.call(body=sdp(caller.sound.port))
        pressing = asyncio.create_task((await desk.control()).send_digits("7"))
        info = await caller.phone.hear("INFO")
        caller.phone.reply(info, "200 OK")
        await pressing
        caller.leave()
        await desk.is_free()

    assert info.header("content-type") == "application/dtmf-relay"
    assert info.body.startswith("Signal=7")


async def test_a_caller_is_handed_on_and_the_agent_steps_back(
    desk: Desk, caller: PhoneCaller
) -> None:
    handing_on = asyncio.create_task((await desk.control()).transfer("sip:desk@127.0.0.1"))
    refer = await caller.phone.hear("REFER")
    caller.phone.reply(refer, "202 Accepted")
    noted = await caller.ask("NOTIFY", extra=STATE, body="SIP/2.0 200 OK\r\n")
    await handing_on
    await caller.hear_goodbye()

    assert "sip:desk@127.0.0.1" in refer.header("refer-to")
    assert noted.status == 200
    assert (await desk.until("call_transferred")).target == "sip:desk@127.0.0.1"
    assert (await desk.until("call_ended")).reason == "agent"


async def test_a_transfer_that_is_refused_leaves_the_caller_with_the_agent(
    desk: Desk, caller: PhoneCaller
) -> None:
    handing_on = asyncio.create_task((await desk.control()).transfer("sip:desk@127.0.0.1"))
    caller.phone.reply(await caller.phone.hear("REFER"), "603 Decline")
    with pytest.raises(FarSideRefused, match="603"):
        await handing_on

    assert (await caller.ask("OPTIONS")).status == 200
    caller.leave()


def _event_packets(event: int) -> list[RtpPacket]:
    """A key, held for 80 ms, and its end said three times."""
    ends = [False, False, False, True, True, True]
    return [
        RtpPacket(
            96,
            int(n == 0),
            1000 + n,
            500_000,
            7,
            bytes([event, 0x8A if is_end else 0x0A]) + (160 * min(n + 1, 4)).to_bytes(2, "big"),
        )
        for n, is_end in enumerate(ends)
    ]
