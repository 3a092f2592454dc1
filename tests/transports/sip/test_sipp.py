"""Calls by sipp: what a tester that isn't ours thinks of our signalling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.outgoing import Unanswered
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP
from tests.transports.sip.sipp import Sipp


@pytest.fixture
def sipp(tmp_path: Path) -> Sipp:
    return Sipp(tmp_path)


@pytest.fixture
async def endpoint(opened: Callable[..., Any]) -> SipEndpoint:
    """With the times of the protocol as they are: sipp keeps to them, too."""
    return await opened(t1_s=0.5)


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_a_plain_call(sipp: Sipp, endpoint: SipEndpoint, desk: Desk, transport: str) -> None:
    await sipp.call(endpoint.port, "uac", "-t", transport)

    assert (await (await desk.call()).over).by == "far"


async def test_a_cancelled_call(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    desk.is_open.clear()
    await sipp.call(endpoint.port, "cancel")

    assert desk.invites[0].cancelled.done() and desk.calls.empty()


async def test_hold_and_resume(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    await sipp.call(endpoint.port, "hold")

    assert ["sendonly" in offer for offer in desk.offers] == [True, False]


async def test_a_key_pressed(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    await sipp.call(endpoint.port, "info")
    kind, body = await desk.infos.get()

    assert kind == "application/dtmf-relay" and body.startswith("Signal=5")


async def test_a_late_offer(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    await sipp.call(endpoint.port, "late_offer")

    assert "m=audio" in (await desk.call()).remote_sdp


async def test_a_transfer(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    calling = asyncio.ensure_future(sipp.call(endpoint.port, "transfer"))
    call = await desk.call()
    status = await call.refer("sip:100@pbx.example.org")
    await call.bye()
    await calling

    assert status == 200


async def test_our_goodbye(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    calling = asyncio.ensure_future(sipp.call(endpoint.port, "our_goodbye"))
    await (await desk.call()).bye("all said")
    await calling

    assert endpoint.live_calls == 0


async def test_requests_that_make_no_sense(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    await sipp.call(endpoint.port, "refused")

    assert desk.invites == []


async def test_fifty_calls_at_once(sipp: Sipp, endpoint: SipEndpoint, desk: Desk) -> None:
    await sipp.call(endpoint.port, "uac", "-m", "50", "-l", "50", "-r", "50", "-d", "1500")

    assert len(desk.invites) == 50 and endpoint.live_calls == 0


async def test_a_call_to_sipp(sipp: Sipp, endpoint: SipEndpoint, unused_udp_port: int) -> None:
    listening = await sipp.start("", "uas", "-p", str(unused_udp_port))
    target = f"sip:demo@127.0.0.1:{unused_udp_port}"
    call = await endpoint.call(target, SDP).result()
    assert not isinstance(call, Unanswered)
    await call.bye()
    code = await listening.wait()

    assert code == 0 and isinstance(call, SipDialog) and "m=audio" in call.remote_sdp
