"""Calls through a proxy that records its route: everything finds its way there and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from parley.session.dialling import Dial
from parley.session.turns import Listening
from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.options import Account
from tests.transports.sip.callee import Callee
from tests.transports.sip.caller import phone_caller
from tests.transports.sip.conftest import Desk
from tests.transports.sip.kamailio import kamailio
from tests.transports.sip.phone import SDP, Phone, udp_phone
from tests.transports.sip.sipp import Sipp
from tests.transports.sip.switchboard import switchboard


@pytest.fixture
async def endpoint(opened: Callable[..., Any]) -> SipEndpoint:
    return await opened(t1_s=0.5)


@pytest.fixture
async def proxy(endpoint: SipEndpoint, tmp_path: Path, unused_udp_port: int) -> AsyncIterator[int]:
    """The port of a proxy before the endpoint."""
    async with kamailio(tmp_path, unused_udp_port, endpoint.port):
        yield unused_udp_port


@pytest.fixture
async def phone(proxy: int) -> AsyncIterator[Phone]:
    async with udp_phone(proxy) as phone:
        yield phone


async def called(phone: Phone, proxy: int) -> Any:
    """A call, with the route that the proxy recorded."""
    phone.say(phone.invite(uri=f"sip:demo@127.0.0.1:{proxy}"))
    answer = await phone.hear(200)
    phone.far_tag = answer.to_tag
    return answer


def routed(phone: Phone, answer: Any, method: str, cseq: int) -> str:
    target = answer.header("contact").strip("<>")
    routes = "".join(f"Route: {route}\r\n" for route in reversed(answer.all("record-route")))
    return phone.compose(method, cseq=cseq, uri=target, extra=routes)


async def test_the_caller_hangs_up(phone: Phone, proxy: int, desk: Desk) -> None:
    answer = await called(phone, proxy)
    phone.say(routed(phone, answer, "ACK", 1))
    call = await desk.call()
    await phone.ask(routed(phone, answer, "BYE", 2))

    assert (await call.over).by == "far"
    assert desk.invites[0].headers["x-via-proxy"] == "yes"
    assert answer.all("record-route")


async def test_we_hang_up(phone: Phone, proxy: int, desk: Desk) -> None:
    answer = await called(phone, proxy)
    phone.say(routed(phone, answer, "ACK", 1))
    call = await desk.call()
    hanging_up = asyncio.ensure_future(call.bye("all said"))
    goodbye = await phone.hear("BYE")
    phone.reply(goodbye, "200 OK")
    await hanging_up

    assert len(goodbye.all("via")) == 2 and goodbye.header("call-id") == phone.call_id


async def test_the_caller_cancels(phone: Phone, proxy: int, desk: Desk) -> None:
    desk.is_open.clear()
    uri = f"sip:demo@127.0.0.1:{proxy}"
    phone.say(phone.invite(uri=uri, branch="z9hG4bKgone"))
    await phone.hear(180)
    phone.say(phone.compose("CANCEL", uri=uri, branch="z9hG4bKgone"))
    statuses = {(await phone.hear(200, 487)).header("cseq") for _ in range(2)}
    phone.say(phone.compose("ACK", uri=uri, branch="z9hG4bKgone"))
    async with asyncio.timeout(5):
        await desk.invites[0].cancelled

    assert statuses == {"1 CANCEL", "1 INVITE"}


async def test_a_call_goes_out_through_it(opened: Callable[..., Any], proxy: int) -> None:
    endpoint = await opened(t1_s=0.5, proxy=f"sip:127.0.0.1:{proxy}")
    async with udp_phone() as phone:
        calling = endpoint.call(f"sip:bob@127.0.0.1:{phone.port}", SDP)
        invite = await phone.hear("INVITE")
        routes = "".join(f"Record-Route: {r}\r\n" for r in invite.all("record-route"))
        phone.reply(invite, "200 OK", routes + "Content-Type: application/sdp\r\n", SDP)
        ack = await phone.hear("ACK")
        call = await calling.result()
        assert isinstance(call, SipDialog)
        hanging_up = asyncio.ensure_future(call.bye())
        phone.reply(await phone.hear("BYE"), "200 OK", routes)
        await hanging_up

    assert len(ack.all("via")) == 2 and invite.header("x-via-proxy") == "yes"


@pytest.mark.parametrize(
    ("password", "reason"), [("open sesame", "agent"), ("guessed", "unreachable")]
)
async def test_an_agent_calls_through_a_trunk_that_wants_its_password(
    password: str, reason: str, listening: Listening, tmp_path: Path, unused_udp_port: int
) -> None:
    account = Account(username="501", password=password)
    sip = {"account": account, "proxy": f"sip:127.0.0.1:{unused_udp_port}", "t1_s": 0.5}
    async with (
        kamailio(tmp_path, unused_udp_port, 9, password="open sesame"),
        switchboard(listening, sip=sip) as board,
        phone_caller(9) as caller,
    ):
        callee = Callee(caller)
        await board.telephone.dial(Dial(target=callee.address, tenant="default"))
        if reason == "agent":
            invite = await callee.answer()
            await callee.caller.hear(10)
            (await board.control()).end("agent")
            await callee.caller.hear_goodbye()
            assert invite.header("from").startswith("<sip:501@127.0.0.1")
            assert (invite.header("x-via-proxy"), invite.all("proxy-authorization")) == ("yes", [])
        ended = await board.until("call_ended")

        assert ended.reason == reason
        assert await board.is_free()


async def test_ten_calls_by_sipp(proxy: int, tmp_path: Path, desk: Desk) -> None:
    await Sipp(tmp_path).call(proxy, "proxied", "-m", "10", "-r", "20", "-d", "200")

    assert len(desk.invites) == 10
