"""A call comes in: the laws of RFC 3261 that hold until it is answered, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.errors import CallNotLive
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.incoming import IncomingInvite
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, Phone, udp_phone


async def test_a_call_is_rung_answered_and_ended(phone: Phone, desk: Desk) -> None:
    phone.say(phone.invite())
    heard = [await phone.hear(), await phone.hear(), await phone.hear()]
    phone.far_tag = heard[-1].to_tag
    phone.acknowledge(heard[-1])
    call = await desk.call()
    goodbye = await phone.ask(phone.compose("BYE", cseq=2))

    assert [each.status for each in heard] == [100, 180, 200]
    assert heard[0].to_tag == "" and heard[1].to_tag == heard[2].to_tag != ""
    assert heard[2].body == SDP and heard[2].header("content-type") == "application/sdp"
    assert goodbye.status == 200 and goodbye.to_tag == phone.far_tag
    assert (await call.over).by == "far"


async def test_copies_of_an_invite_are_one_call(phone: Phone, desk: Desk) -> None:
    invite = phone.invite()
    for _ in range(4):
        phone.say(invite)
    answer = await phone.hear(200)
    phone.say(invite)
    again = await phone.hear(200)
    phone.far_tag = again.to_tag
    phone.acknowledge(again)
    await desk.call()

    assert len(desk.invites) == 1
    assert answer.to_tag == again.to_tag


async def test_the_answer_is_repeated_until_it_is_acknowledged(phone: Phone, desk: Desk) -> None:
    phone.say(phone.invite())
    copies = [await phone.hear(200) for _ in range(3)]
    phone.far_tag = copies[0].to_tag
    phone.acknowledge(copies[0])
    call = await desk.call()

    assert copies[0].text == copies[1].text == copies[2].text
    assert not call.over.done()


async def test_an_answer_that_nobody_acknowledges_ends_in_goodbye(
    phone: Phone, endpoint: SipEndpoint
) -> None:
    phone.say(phone.invite())
    goodbye = await phone.hear("BYE")
    phone.reply(goodbye, "200 OK")

    assert "no ACK" in goodbye.header("reason")
    assert goodbye.header("call-id") == phone.call_id


async def test_a_cancelled_call_is_told_so_twice(phone: Phone, desk: Desk) -> None:
    desk.is_open.clear()
    phone.say(phone.invite(branch="z9hG4bKcancelled"))
    await phone.hear(180)
    phone.say(phone.compose("CANCEL", branch="z9hG4bKcancelled"))
    first, second = await phone.hear(200, 487), await phone.hear(200, 487)
    again = await phone.hear(487)
    phone.say(phone.compose("ACK", branch="z9hG4bKcancelled", to_tag=second.to_tag))
    await desk.invites[0].cancelled

    assert first.header("cseq") == "1 CANCEL" and first.status == 200
    assert second.header("cseq") == "1 INVITE" and second.status == 487
    assert again.text == second.text


async def test_a_cancelled_call_can_not_be_answered(
    phone: Phone, desk: Desk, endpoint: SipEndpoint
) -> None:
    desk.is_open.clear()
    phone.say(phone.invite(branch="z9hG4bKgone"))
    await phone.hear(180)
    phone.say(phone.compose("CANCEL", branch="z9hG4bKgone"))
    await desk.invites[0].cancelled

    with pytest.raises(CallNotLive):
        await desk.invites[0].answer(SDP)


async def test_a_cancel_that_comes_too_late_changes_nothing(phone: Phone, desk: Desk) -> None:
    answer = await phone.call(branch="z9hG4bKlate")
    call = await desk.call()
    phone.say(phone.compose("CANCEL", branch="z9hG4bKlate", to_tag=""))
    while (await phone.hear(200)).header("cseq") != "1 CANCEL":
        pass

    assert not call.over.done() and answer.status == 200


async def test_a_caller_may_hang_up_on_the_ringing(phone: Phone, desk: Desk) -> None:
    desk.is_open.clear()
    phone.say(phone.invite())
    phone.far_tag = (await phone.hear(180)).to_tag
    phone.say(phone.compose("BYE", cseq=2))
    heard = {(await phone.hear(200, 487)).status, (await phone.hear(200, 487)).status}

    assert heard == {200, 487}


async def test_without_an_offer_the_answer_is_one(phone: Phone, desk: Desk) -> None:
    phone.say(phone.invite(body=""))
    offer = await phone.hear(200)
    phone.far_tag = offer.to_tag
    phone.acknowledge(offer, body=SDP.replace("40000", "41000"))
    call = await desk.call()

    assert desk.invites[0].offer == "" and offer.body == SDP
    assert "41000" in call.remote_sdp


async def test_a_refusal_is_repeated_until_it_is_acknowledged(opened) -> None:
    endpoint = await opened(_busy)
    async with udp_phone(endpoint.port) as phone:
        phone.say(phone.invite(branch="z9hG4bKbusy"))
        refusals = [await phone.hear(486), await phone.hear(486)]
        phone.say(phone.compose("ACK", branch="z9hG4bKbusy", to_tag=refusals[0].to_tag))
        phone.say(phone.compose("OPTIONS", cseq=9, to_tag=""))
        await phone.hear(200)
        phone.heard()
        async with udp_phone(endpoint.port) as other:
            other.say(other.invite())
            # Each copy of this one's leaves the first time enough for one of its own.
            for _ in range(3):
                await other.hear(486)

        assert phone.heard() == []
    assert refusals[0].header("reason") == 'SIP;cause=486;text="the day\'s quota is spent"'
    assert refusals[0].header("retry-after") == "30"


async def _busy(invite: IncomingInvite) -> None:
    invite.reject(486, "the day's quota is spent", retry_after_s=30)


async def test_nobody_waits_for_an_answerer_that_broke(opened, caplog) -> None:
    endpoint = await opened(_breaks)
    async with udp_phone(endpoint.port) as phone:
        phone.say(phone.invite())

        assert (await phone.hear(500)).to_tag


async def _breaks(_: IncomingInvite) -> None:
    raise ZeroDivisionError("on purpose")


async def test_the_session_is_told_who_calls_and_how(phone: Phone, desk: Desk) -> None:
    extra = (
        "X-Agent: sales\r\nDiversion: <sip:boss@example.org>\r\nx-agent: support\r\n"
        'P-Asserted-Identity: "O\'Neil" <sip:+4930123@example.org>\r\n'
    )
    text = phone.invite(extra=extra).replace(
        "From: <sip:phone@", 'From: "Ann \\"A\\" L\xf6w" <sip:%61nn@'
    )
    phone.say(text)
    await phone.hear(200)
    invite = desk.invites[0]

    assert invite.caller_name == 'Ann "A" L\xf6w' and invite.caller_user == "ann"
    assert (invite.callee, invite.callee_user) == ("sip:demo@127.0.0.1", "demo")
    assert (invite.dialled_user, invite.offer) == ("demo", SDP)
    assert invite.headers["x-agent"] == "sales, support"
    assert invite.headers["diversion"] == "<sip:boss@example.org>"
    assert "+4930123" in invite.headers["p-asserted-identity"]
    assert invite.source == ("127.0.0.1", phone.port) and invite.carrier == "udp"


async def test_routes_and_foreign_values_go_back_as_they_came(phone: Phone) -> None:
    routes = (
        "Record-Route: <sip:10.0.0.9;lr;x=%41>,  <sip:10.0.0.8;lr>\r\n"
        "Record-Route: <sip:10.0.0.7;lr;ftag=AbC>\r\n"
    )
    via = "Via: SIP/2.0/UDP 10.9.9.9:5070 ;branch=z9hG4bKinner;Extra=Yes\r\n"
    phone.say(phone.invite(extra=routes + via))
    answer = await phone.hear(200)

    assert answer.all("record-route") == [
        "<sip:10.0.0.9;lr;x=%41>,  <sip:10.0.0.8;lr>",
        "<sip:10.0.0.7;lr;ftag=AbC>",
    ]
    assert answer.all("via")[1] == "SIP/2.0/UDP 10.9.9.9:5070 ;branch=z9hG4bKinner;Extra=Yes"
    assert f";rport={phone.port};received=127.0.0.1" in answer.all("via")[0]


async def test_without_rport_the_answer_goes_to_the_port_in_via(
    endpoint: SipEndpoint, phone: Phone
) -> None:
    async with udp_phone(endpoint.port) as other:
        text = phone.compose("OPTIONS").replace(";rport", "")
        other.say(text)

        assert (await phone.hear(200)).header("call-id") == phone.call_id
        assert other.inbox.empty()


async def test_short_and_folded_headers_are_read(phone: Phone, desk: Desk) -> None:
    text = phone.invite(extra="X-Long: one\r\n  two\r\n\tthree\r\n")
    for long, short in (("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i")):
        text = text.replace(f"{long}: ", f"{short} : ")
    phone.say(text.replace("Contact:", "m:").replace("Content-Type:", "c:"))
    await phone.hear(200)

    assert desk.invites[0].headers["x-long"] == "one two three"
    assert desk.invites[0].offer == SDP


async def test_the_description_is_found_among_other_parts(phone: Phone, desk: Desk) -> None:
    body = (
        "--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n"
        f"--b1\r\n{SDP_LINE}\r\n{SDP}\r\n--b1--\r\n"
    )
    kind = "Content-Type: multipart/mixed;boundary=b1\r\n"
    phone.say(phone.compose("INVITE", extra=kind, body=body))
    await phone.hear(200)

    assert desk.invites[0].offer.strip() == SDP.strip()


REFUSED = {
    "a method that nobody knows": ("DANCE", {}, 501, "allow"),
    "a registration": ("REGISTER", {}, 405, "allow"),
    "a referral": ("REFER", {"extra": "Refer-To: <sip:x@y>\r\n"}, 405, "allow"),
    "an extension that we lack": ("INVITE", {"extra": "Require: 100rel, timer\r\n"}, 420, ""),
    "a URI that is no telephone's": ("INVITE", {"uri": "http://example.org"}, 416, ""),
    "a URI that can't be read": ("INVITE", {"uri": "sip:a@[::x]"}, 400, "reason"),
    "a goodbye to no call": ("BYE", {"to_tag": "nobody"}, 481, ""),
    "a goodbye without a tag": ("BYE", {}, 481, ""),
    "a change of no call": ("INVITE", {"to_tag": "nobody"}, 481, ""),
    "a notice of nothing": ("NOTIFY", {}, 481, ""),
    "a cancellation of nothing": ("CANCEL", {}, 481, ""),
    "a call without a contact": ("INVITE", {"contact": False}, 400, "reason"),
    "a body that is no description": (
        "INVITE",
        {"extra": "Content-Type: text/plain\r\n", "body": "hello"},
        415,
        "accept",
    ),
    "a packed body": (
        "INVITE",
        {"extra": SDP_LINE + "Content-Encoding: gzip\r\n", "body": "hello"},
        415,
        "accept",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_makes_no_sense_is_refused_by_the_book(
    name: str, phone: Phone, desk: Desk, endpoint: SipEndpoint
) -> None:
    method, changes, status, header = REFUSED[name]

    phone.say(phone.compose(method, **changes))
    refusal = await phone.hear(status)

    assert refusal.to_tag
    assert not header or refusal.header(header)
    assert desk.invites == []
    if status == 420:
        assert refusal.header("unsupported") == "100rel, timer"


async def test_the_same_call_by_another_way_is_a_loop(phone: Phone, desk: Desk) -> None:
    phone.say(phone.invite())
    await phone.hear(200)
    phone.say(phone.invite(to_tag=""))

    assert (await phone.hear(482)).to_tag
    assert len(desk.invites) == 1


async def test_a_probe_is_told_what_we_can_do(phone: Phone, desk: Desk) -> None:
    phone.say(phone.compose("OPTIONS", extra="Accept: application/sdp\r\n"))
    told = await phone.hear(200)

    assert "INVITE" in told.header("allow") and told.header("accept") == "application/sdp"
    assert desk.invites == []


async def test_while_draining_calls_and_probes_are_sent_elsewhere(
    endpoint: SipEndpoint, phone: Phone
) -> None:
    endpoint.drain()

    for text in (phone.compose("OPTIONS"), phone.invite()):
        phone.say(text)
        refusal = await phone.hear(503)
        assert refusal.header("retry-after") == "5"


async def test_keep_alives_and_stray_answers_are_passed_over(phone: Phone) -> None:
    phone.say(b"\r\n\r\n")
    phone.say(b"\r\n")
    phone.say(b"\0" * 20)
    phone.say(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nCSeq: 1 BYE\r\n\r\n")
    phone.say(phone.compose("ACK", to_tag="nobody"))
    phone.say(phone.compose("OPTIONS"))

    assert (await phone.hear()).status == 200


async def test_calls_come_in_over_ipv6(opened, desk: Desk) -> None:
    endpoint = await opened(host="::1")
    async with udp_phone(endpoint.port, "::1") as phone:
        answer = await phone.call()
        call = await desk.call()
        hanging_up = asyncio.ensure_future(call.bye())
        phone.reply(await phone.hear("BYE"), "200 OK")
        await hanging_up

    assert answer.header("contact") == f"<sip:parley@[::1]:{endpoint.port}>"
