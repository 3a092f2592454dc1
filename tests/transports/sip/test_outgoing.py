"""A call goes out: it rings, somebody answers, or one of many things happens instead."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.errors import InvalidValue
from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.options import Account
from parley.transports.sip.outgoing import Unanswered
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, Phone, udp_phone

OFFER = SDP.replace("40000", "42000")


def at(phone: Phone) -> str:
    return f"sip:bob@127.0.0.1:{phone.port}"


async def test_it_rings_and_is_answered(endpoint: SipEndpoint, phone: Phone) -> None:
    call = endpoint.call(at(phone), OFFER, caller="sip:desk@house.example", caller_name='A "B"')
    invite = await phone.hear("INVITE")
    phone.reply(invite, "180 Ringing")
    await call.ringing.wait()
    phone.reply(invite, "200 OK", SDP_LINE, SDP)
    ack = await phone.hear("ACK")
    dialog = await call.result()

    assert isinstance(dialog, SipDialog) and dialog.remote_sdp == SDP
    assert invite.body == OFFER and invite.uri == at(phone)
    assert invite.header("from").startswith('"A B" <sip:desk@house.example>;tag=')
    assert ack.cseq == invite.cseq and ack.to_tag == phone.tag


async def test_two_endpoints_talk(opened, desk: Desk) -> None:
    here, there = await opened(), await opened()
    target = f"sip:demo@127.0.0.1:{there.port}"

    ours = await here.call(target, OFFER, prepare=desk.prepare).result()
    theirs = await desk.call()
    assert isinstance(ours, SipDialog)
    changed = await theirs.reinvite(lambda: SDP + "a=sendonly\r\n")
    status = await ours.send_info("application/dtmf-relay", "Signal=1")
    await ours.bye("done")
    ending = await theirs.over

    assert changed == SDP and status == 200
    assert (ending.by, ending.reason) == ("far", "done")
    assert here.live_calls == there.live_calls == 0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("486 Busy Here", "busy"),
        ("600 Busy Everywhere", "busy"),
        ("603 Decline", "declined"),
        ("480 Away", "no_answer"),
        ("404 Not Found", "unknown"),
        ("488 No Codec", "failed"),
        ("302 Moved", "failed"),
    ],
)
async def test_what_happened_instead_is_told(
    endpoint: SipEndpoint, phone: Phone, status: str, outcome: str
) -> None:
    call = endpoint.call(at(phone), OFFER)
    invite = await phone.hear("INVITE")
    phone.reply(invite, status)
    ack = await phone.hear("ACK")
    number, _, phrase = status.partition(" ")

    assert await call.result() == Unanswered(outcome, int(number), phrase)
    assert ack.header("via") == invite.header("via")


async def test_ringing_has_its_limit(endpoint: SipEndpoint, phone: Phone) -> None:
    call = endpoint.call(at(phone), OFFER, ring_limit_s=0.05)
    invite = await phone.hear("INVITE")
    phone.reply(invite, "180 Ringing")
    cancel = await phone.hear("CANCEL")
    phone.reply(cancel, "200 OK")
    phone.reply(invite, "487 Request Terminated")
    await phone.hear("ACK")

    assert await call.result() == Unanswered("no_answer", 408)
    assert cancel.header("via") == invite.header("via") and cancel.cseq == invite.cseq


async def test_a_cancellation_waits_for_a_first_sign(endpoint: SipEndpoint, phone: Phone) -> None:
    call = endpoint.call(at(phone), OFFER)
    invite = await phone.hear("INVITE")
    call.cancel()
    await phone.hear("INVITE")
    phone.reply(invite, "100 Trying")
    cancel = await phone.hear("CANCEL")
    phone.reply(cancel, "200 OK")
    phone.reply(invite, "487 Request Terminated")

    assert (await call.result()).outcome == "cancelled"


async def test_who_answers_a_cancelled_call_is_told_goodbye(
    endpoint: SipEndpoint, phone: Phone
) -> None:
    call = endpoint.call(at(phone), OFFER)
    invite = await phone.hear("INVITE")
    phone.reply(invite, "180 Ringing")
    await call.ringing.wait()
    call.cancel()
    phone.reply(invite, "200 OK", SDP_LINE, SDP)
    await phone.hear("ACK")
    phone.reply(await phone.hear("BYE"), "200 OK")

    assert (await call.result()).outcome == "cancelled"


async def test_only_the_first_of_two_who_answer_has_the_call(
    endpoint: SipEndpoint, phone: Phone
) -> None:
    call = endpoint.call(at(phone), OFFER)
    invite = await phone.hear("INVITE")
    phone.reply(invite, "200 OK", SDP_LINE, SDP)
    dialog = await call.result()
    first, phone.tag = phone.tag, "second"
    phone.reply(invite, "200 OK", SDP_LINE, SDP)
    goodbye = await phone.hear("BYE")
    phone.reply(goodbye, "200 OK")

    assert goodbye.to_tag == "second" != first
    assert isinstance(dialog, SipDialog) and not dialog.over.done()


async def test_nobody_there_is_no_answer(endpoint: SipEndpoint, phone: Phone) -> None:
    silent = await endpoint.call(at(phone), OFFER).result()
    closed = await endpoint.call("sip:bob@127.0.0.1:9;transport=tcp", OFFER).result()
    nowhere = await endpoint.call("sip:bob@nowhere.invalid", OFFER).result()

    assert isinstance(silent, Unanswered) and silent == Unanswered("no_answer", 408, silent.reason)
    assert isinstance(closed, Unanswered) and (closed.outcome, closed.status) == ("failed", 503)
    assert isinstance(nowhere, Unanswered) and "nowhere.invalid" in nowhere.reason


async def test_a_password_is_given_where_one_is_asked_for(opened, phone: Phone) -> None:
    account = Account(username="501", password="open sesame")
    endpoint = await opened(account=account)
    call = endpoint.call(at(phone), OFFER)
    first = await phone.hear("INVITE")
    challenge = 'Digest realm="pbx", nonce="n1", qop="auth,auth-int", algorithm=SHA-256, opaque="o"'
    phone.reply(first, "407 Who Are You", f"Proxy-Authenticate: {challenge}\r\n")
    await phone.hear("ACK")
    second = await phone.hear("INVITE")
    phone.reply(second, "200 OK", SDP_LINE, SDP)

    assert isinstance(await call.result(), SipDialog)
    proof = second.header("proxy-authorization")
    assert 'username="501"' in proof and 'opaque="o"' in proof and "open sesame" not in proof
    assert second.cseq == first.cseq + 1 and second.header("call-id") == first.header("call-id")


async def test_calls_go_through_the_proxy(opened, phone: Phone) -> None:
    proxy = f"sip:127.0.0.1:{phone.port}"
    endpoint = await opened(proxy=proxy)

    endpoint.call("sip:bob@far.example", OFFER)
    by_name = await phone.hear("INVITE")
    phone.reply(by_name, "486 Busy")
    await phone.hear("ACK")
    endpoint.call("tel:+49-30-123", OFFER, headers=[("X-Campaign", "7")])
    by_number = await phone.hear("INVITE")
    phone.reply(by_number, "486 Busy")
    await phone.hear("ACK")

    assert by_name.uri == "sip:bob@far.example" and by_name.all("route") == [f"<{proxy};lr>"]
    assert by_number.uri == f"sip:+4930123@127.0.0.1:{phone.port};user=phone"
    assert by_number.header("x-campaign") == "7"


@pytest.mark.parametrize(
    "target",
    ["", "bob", "http://x.example", "sip:", "sip:a b@c", "sip:x@y\r\nEvil: 1", "tel:+4930123"],
)
async def test_what_nobody_can_call_is_refused_at_once(endpoint: SipEndpoint, target: str) -> None:
    with pytest.raises(InvalidValue):
        endpoint.call(target, OFFER)


@pytest.mark.parametrize("header", [("X-A", "b\r\nEvil: 1"), ("X A", "b"), ("", "b")])
async def test_no_header_breaks_out_of_its_line(
    endpoint: SipEndpoint, header: tuple[str, str]
) -> None:
    with pytest.raises(InvalidValue):
        endpoint.call("sip:a@127.0.0.1", OFFER, headers=[header])


async def test_closing_gives_up_what_rings(opened, phone: Phone) -> None:
    endpoint = await opened()
    call = endpoint.call(at(phone), OFFER)
    phone.reply(await phone.hear("INVITE"), "180 Ringing")
    await call.ringing.wait()
    async with asyncio.timeout(5):
        await endpoint.__aexit__(None, None, None)

    assert (await call.result()).outcome == "cancelled"


async def test_a_caller_that_is_also_a_phone_can_be_called_back(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with udp_phone(endpoint.port) as phone:
        await phone.call()
        call = await desk.call()
        back = endpoint.call(at(phone), OFFER)
        invite = await phone.hear("INVITE")
        phone.reply(invite, "486 Busy")

        assert invite.header("call-id") != phone.call_id
        assert (await back.result()).outcome == "busy" and not call.over.done()
