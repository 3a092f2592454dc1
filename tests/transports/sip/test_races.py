"""Moments that fall together: an end before its beginning, a close in the middle, a lost way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from parley.core.errors import CallNotLive
from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.options import Account
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, Phone, stream_phone, udp_phone

CHALLENGE = 'Proxy-Authenticate: Digest realm="pbx", nonce="n", qop="auth"\r\n'


async def test_who_hangs_up_instead_of_acknowledging_has_hung_up(phone: Phone, desk: Desk) -> None:
    phone.say(phone.invite())
    phone.far_tag = (await phone.hear(200)).to_tag
    goodbye = await phone.ask(phone.compose("BYE", cseq=2))
    call = await desk.call()

    assert goodbye.status == 200 and (await call.over).by == "far"


async def test_a_call_that_is_dropped_while_it_is_answered_ends_after_the_ack(
    opened: Callable[..., Any],
) -> None:
    answering: asyncio.Queue[asyncio.Task[SipDialog]] = asyncio.Queue()

    async def take(invite: IncomingInvite) -> None:
        task = asyncio.ensure_future(invite.answer(SDP))
        answering.put_nowait(task)
        await asyncio.wait([task])

    endpoint = await opened(take)
    async with udp_phone(endpoint.port) as phone:
        phone.say(phone.invite())
        answer = await phone.hear(200)
        (await answering.get()).cancel()
        phone.far_tag = answer.to_tag
        before = [seen.method for seen in phone.heard()]
        phone.acknowledge(answer)
        goodbye = await phone.hear("BYE")
        phone.reply(goodbye, "200 OK")

    assert "BYE" not in before and goodbye.header("call-id") == phone.call_id


async def test_goodbye_waits_for_the_ack(opened: Callable[..., Any]) -> None:
    calls: asyncio.Queue[SipDialog] = asyncio.Queue()

    async def take(invite: IncomingInvite) -> None:
        with pytest.raises(CallNotLive):
            await invite.answer(SDP, calls.put_nowait)

    endpoint = await opened(take)
    async with udp_phone(endpoint.port) as phone:
        phone.say(phone.invite())
        answer = await phone.hear(200)
        hanging_up = asyncio.ensure_future((await calls.get()).bye())
        again = await phone.hear(200, "BYE")
        phone.far_tag = answer.to_tag
        phone.acknowledge(answer)
        phone.reply(await phone.hear("BYE"), "200 OK")
        await hanging_up

    assert again.status == 200


async def test_closing_refuses_what_still_rings(opened: Callable[..., Any], desk: Desk) -> None:
    desk.is_open.clear()
    endpoint = await opened()
    async with udp_phone(endpoint.port) as phone:
        phone.say(phone.invite())
        await phone.hear(180)
        closing = asyncio.ensure_future(endpoint.__aexit__(None, None, None))
        refusal = await phone.hear(503)
        await closing

    assert refusal.header("retry-after") == "5"


async def test_a_transfer_that_nobody_tells_of_has_its_limit(
    opened: Callable[..., Any], desk: Desk
) -> None:
    endpoint = await opened(transfer_limit_s=0.05)
    async with udp_phone(endpoint.port) as phone:
        await phone.call()
        call = await desk.call()
        moving = asyncio.ensure_future(call.refer("sip:100@pbx.example.org"))
        phone.reply(await phone.hear("REFER"), "202 Accepted")

        assert await moving == 408 and not call.over.done()


async def test_within_a_call_a_password_is_given_too(
    opened: Callable[..., Any], desk: Desk
) -> None:
    endpoint = await opened(account=Account(username="501", password="secret"))
    async with udp_phone(endpoint.port) as phone:
        await phone.call()
        call = await desk.call()
        changing = asyncio.ensure_future(call.reinvite(lambda: SDP))
        first = await phone.hear("INVITE")
        phone.reply(first, "407 Who", CHALLENGE)
        second = await phone.hear("INVITE")
        while second.cseq == first.cseq:
            second = await phone.hear("INVITE")
        phone.reply(second, "200 OK", SDP_LINE, SDP)

        assert await changing == SDP
    assert 'username="501"' in second.header("proxy-authorization")


async def test_a_password_is_given_once_and_not_for_ever(
    opened: Callable[..., Any], desk: Desk
) -> None:
    endpoint = await opened(account=Account(username="501", password="wrong"))
    async with udp_phone(endpoint.port) as phone:
        call = endpoint.call(f"sip:bob@127.0.0.1:{phone.port}", SDP)
        seen: set[int] = set()
        while len(seen) < 2:
            invite = await phone.hear("INVITE")
            seen.add(invite.cseq)
            phone.reply(invite, "407 Who", CHALLENGE)
        result = await call.result()

    assert (result.outcome, result.status) == ("failed", 407)


async def test_a_caller_whose_connection_is_gone_is_called_at_its_contact(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with udp_phone() as elsewhere:
        async with stream_phone(endpoint.port) as phone:
            contact = f"Contact: <sip:phone@127.0.0.1:{elsewhere.port}>\r\n"
            await phone.call(contact=False, extra=contact)
            call = await desk.call()
        hanging_up = asyncio.ensure_future(call.bye())
        goodbye = await elsewhere.hear("BYE")
        elsewhere.reply(goodbye, "200 OK")
        await hanging_up

    assert goodbye.header("via").startswith("SIP/2.0/UDP")


async def test_a_far_side_that_can_not_be_reached_is_lost(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with stream_phone(endpoint.port) as phone:
        phone.port = 9
        await phone.call(contact=False, extra="Contact: <sip:p@127.0.0.1:9;transport=tcp>\r\n")
        call = await desk.call()
    status = await call.send_info("text/plain", "hello?")
    await call.bye()

    assert status == 503 and endpoint.live_calls == 0


async def test_two_changes_of_ours_wait_for_each_other(phone: Phone, desk: Desk) -> None:
    await phone.call()
    call = await desk.call()
    both = asyncio.gather(call.reinvite(lambda: SDP + "a=sendonly\r\n"), call.reinvite(lambda: SDP))
    first = await phone.hear("INVITE")
    phone.reply(first, "200 OK", SDP_LINE, "v=1\r\n")
    second = await phone.hear("INVITE")
    while second.cseq == first.cseq:
        second = await phone.hear("INVITE")
    phone.reply(second, "200 OK", SDP_LINE, "v=2\r\n")

    assert await both == ["v=1\r\n", "v=2\r\n"]
    assert "sendonly" in first.body and "sendonly" not in second.body


async def test_a_stranger_who_knows_a_call_can_not_cancel_it(
    endpoint: SipEndpoint, phone: Phone, desk: Desk
) -> None:
    desk.is_open.clear()
    phone.say(phone.invite(branch="z9hG4bKknown"))
    await phone.hear(180)
    text = phone.compose("CANCEL", branch="z9hG4bKknown", to_tag="")
    async with udp_phone(endpoint.port, "127.0.0.2") as stranger:
        stranger.far = "127.0.0.1", endpoint.port
        stranger.say(text)
        refusal = await stranger.hear()

    assert refusal.status == 481 and not desk.invites[0].cancelled.done()
