"""Within a call: both sides change it, send things, transfer, and hang up, whatever is lost."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.errors import CallNotLive, InvalidValue, NotSupported, UnsupportedMedia
from parley.transports.sip.call import SipDialog
from parley.transports.sip.ending import Ending
from parley.transports.sip.endpoint import SipEndpoint
from tests.transports.sip.conftest import Desk
from tests.transports.sip.phone import SDP, SDP_LINE, Phone, Seen, udp_phone

HOLD = SDP + "a=sendonly\r\n"


@pytest.fixture
async def call(phone: Phone, desk: Desk) -> SipDialog:
    await phone.call()
    return await desk.call()


# ── the far side acts ────────────────────────────────────────────────────────────────────────


async def test_hold_and_resume_are_answered(phone: Phone, call: SipDialog, desk: Desk) -> None:
    desk.answer = SDP + "a=recvonly\r\n"
    held = await phone.ask(phone.invite(cseq=2, body=HOLD))
    phone.acknowledge(held)
    desk.answer = SDP
    resumed = await phone.ask(phone.invite(cseq=3))
    phone.acknowledge(resumed)

    assert desk.offers == [HOLD, SDP]
    assert "recvonly" in held.body and "recvonly" not in resumed.body
    assert held.to_tag == resumed.to_tag == phone.far_tag and held.header("contact")


async def test_an_update_is_answered_without_an_ack(
    phone: Phone, call: SipDialog, desk: Desk
) -> None:
    changed = await phone.ask(phone.compose("UPDATE", cseq=2, extra=SDP_LINE, body=HOLD))
    refreshed = await phone.ask(phone.compose("UPDATE", cseq=3))

    assert changed.body == SDP and desk.offers == [HOLD]
    assert refreshed.body == ""


async def test_a_change_without_an_offer_gets_ours(
    phone: Phone, call: SipDialog, desk: Desk
) -> None:
    answers: asyncio.Queue[str] = asyncio.Queue()
    call.on_answer = answers.put
    offer = await phone.ask(phone.invite(cseq=2, body=""))
    phone.acknowledge(offer, body=HOLD)

    assert offer.body == SDP and desk.offers == [""]
    assert await answers.get() == HOLD


async def test_a_change_that_is_refused_leaves_the_call(phone: Phone, call: SipDialog) -> None:
    call.on_reinvite = _refuse
    refusal = await phone.ask(phone.invite(cseq=2))
    alive = await phone.ask(phone.compose("OPTIONS", cseq=3))

    assert refusal.status == 488 and "no such codec" in refusal.header("reason")
    assert alive.status == 200 and not call.over.done()


async def _refuse(_: str) -> str:
    raise NotSupported("no such codec")


async def test_a_change_that_nobody_acknowledges_ends_the_call(
    phone: Phone, call: SipDialog
) -> None:
    phone.say(phone.invite(cseq=2))
    goodbye = await phone.hear("BYE")
    phone.reply(goodbye, "200 OK")

    assert (await call.over).by == "lost"


async def test_info_is_handed_on(phone: Phone, call: SipDialog, desk: Desk) -> None:
    kind = "Content-Type: application/dtmf-relay\r\n"
    body = "Signal=5\r\nDuration=160"
    taken = await phone.ask(phone.compose("INFO", cseq=2, extra=kind, body=body))
    call.on_info = _unknown
    refused = await phone.ask(phone.compose("INFO", cseq=3, extra=kind, body="Signal=6"))

    assert await desk.infos.get() == ("application/dtmf-relay", body)
    assert (taken.status, refused.status) == (200, 415)


async def _unknown(kind: str, _: str) -> None:
    raise UnsupportedMedia(kind)


async def test_old_numbers_and_foreign_tags_are_refused(phone: Phone, call: SipDialog) -> None:
    statuses: list[int] = []
    for text in (
        phone.compose("BYE", cseq=1),
        phone.compose("BYE", cseq=2, to_tag="other"),
        phone.compose("REFER", cseq=3),
        phone.compose("DANCE", cseq=4),
        phone.compose("NOTIFY", cseq=5),
    ):
        statuses.append((await phone.ask(text)).status)

    assert statuses == [500, 481, 405, 501, 481]
    assert not call.over.done()


async def test_a_copy_of_a_request_gets_a_copy_of_its_answer(
    phone: Phone, call: SipDialog, desk: Desk
) -> None:
    kind = "Content-Type: application/dtmf-relay\r\n"
    text = phone.compose("INFO", cseq=2, extra=kind, body="Signal=1")
    first = await phone.ask(text)
    again = await phone.ask(text)

    assert again.text == first.text
    assert desk.infos.qsize() == 1


async def test_why_the_far_side_hung_up_is_told(phone: Phone, call: SipDialog) -> None:
    await phone.ask(phone.compose("BYE", cseq=2, extra='Reason: Q.850;cause=16;text="bored"\r\n'))

    assert await call.over == Ending("far", "bored")


# ── we act ───────────────────────────────────────────────────────────────────────────────────


async def test_goodbye_is_repeated_until_it_is_answered(
    phone: Phone, call: SipDialog, endpoint: SipEndpoint
) -> None:
    hanging_up = asyncio.ensure_future(call.bye("all said"))
    copies = [await phone.hear("BYE") for _ in range(3)]
    phone.reply(copies[0], "200 OK")
    await hanging_up

    assert len({copy.text for copy in copies}) == 1
    assert 'text="all said"' in copies[0].header("reason")
    assert call.over.result().by == "us" and endpoint.live_calls == 0


async def test_goodbye_to_nobody_comes_to_an_end(
    phone: Phone, call: SipDialog, endpoint: SipEndpoint
) -> None:
    await asyncio.gather(call.bye(), call.bye())

    assert endpoint.live_calls == 0
    with pytest.raises(CallNotLive):
        await call.send_info("text/plain", "hello?")


async def test_both_may_hang_up_at_once(phone: Phone, call: SipDialog) -> None:
    hanging_up = asyncio.ensure_future(call.bye())
    goodbye = await phone.hear("BYE")
    theirs = await phone.ask(phone.compose("BYE", cseq=2))
    phone.reply(goodbye, "481 Gone")
    await hanging_up

    assert theirs.header("cseq") == "2 BYE" and call.over.result().by == "us"


async def test_our_change_is_answered_and_acknowledged_each_time(
    phone: Phone, call: SipDialog
) -> None:
    changing = asyncio.ensure_future(call.reinvite(lambda: HOLD))
    offer = await phone.hear("INVITE")
    answers = [(await _answered(phone, offer)).header("cseq") for _ in range(2)]

    assert offer.body == HOLD and offer.to_tag == phone.tag
    assert await changing == SDP
    assert answers == [f"{offer.cseq} ACK"] * 2


async def _answered(phone: Phone, offer: Seen) -> Seen:
    phone.reply(offer, "200 OK", SDP_LINE, SDP)
    return await phone.hear("ACK")


async def test_a_refused_change_of_ours_leaves_the_call(phone: Phone, call: SipDialog) -> None:
    changing = asyncio.ensure_future(call.reinvite(lambda: HOLD))
    phone.reply(await phone.hear("INVITE"), "488 No")
    await phone.hear("ACK")

    with pytest.raises(NotSupported, match="488 No"):
        await changing
    assert not call.over.done()


async def test_after_a_collision_the_change_is_tried_again(phone: Phone, call: SipDialog) -> None:
    changing = asyncio.ensure_future(call.reinvite(lambda: HOLD))
    first = await phone.hear("INVITE")
    collision = await phone.ask(phone.invite(cseq=2))
    phone.reply(first, "491 Request Pending")
    second = await phone.hear("INVITE")
    while second.cseq == first.cseq:
        second = await phone.hear("INVITE")
    phone.reply(second, "200 OK", SDP_LINE, SDP)

    assert await changing == SDP and collision.status == 491


async def test_a_far_side_that_knows_of_no_call_has_none(
    phone: Phone, call: SipDialog, endpoint: SipEndpoint
) -> None:
    sending = asyncio.ensure_future(call.send_info("application/dtmf-relay", "Signal=1"))
    info = await phone.hear("INFO")
    phone.reply(info, "481 What Call")

    assert await sending == 481 and info.body == "Signal=1"
    assert (await call.over).by == "lost" and endpoint.live_calls == 0


# ── transfer ─────────────────────────────────────────────────────────────────────────────────


def notify(phone: Phone, cseq: int, status: str, state: str) -> str:
    extra = (
        f"Event: refer\r\nSubscription-State: {state}\r\n"
        "Content-Type: message/sipfrag;version=2.0\r\n"
    )
    return phone.compose("NOTIFY", cseq=cseq, extra=extra, body=status)


async def test_a_transfer_is_followed_to_its_end(phone: Phone, call: SipDialog) -> None:
    moving = asyncio.ensure_future(call.refer("sip:100@pbx.example.org"))
    refer = await phone.hear("REFER")
    early = await phone.ask(notify(phone, 2, "SIP/2.0 100 Trying\r\n", "active;expires=60"))
    phone.reply(refer, "202 Accepted")
    phone.say(notify(phone, 3, "SIP/2.0 180 Ringing", "active"))
    phone.say(notify(phone, 4, "SIP/2.0 486 Busy Here", "terminated;reason=noresource"))

    assert await moving == 486 and early.header("cseq") == "2 NOTIFY"
    assert refer.header("refer-to") == "<sip:100@pbx.example.org>"
    assert refer.header("referred-by") == "<sip:demo@127.0.0.1>"
    assert not call.over.done()


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (("SIP/2.0 200 OK", "terminated;reason=noresource"), 200),
        (("", "terminated;reason=rejected"), 603),
        (("", "terminated"), 480),
    ],
)
async def test_the_last_notice_says_how_it_went(
    phone: Phone, call: SipDialog, last: tuple[str, str], status: int
) -> None:
    moving = asyncio.ensure_future(call.refer("tel:+4930123"))
    phone.reply(await phone.hear("REFER"), "202 Accepted")
    phone.say(notify(phone, 2, *last))

    assert await moving == status


async def test_a_transfer_may_be_refused(phone: Phone, call: SipDialog) -> None:
    moving = asyncio.ensure_future(call.refer("sip:100@pbx.example.org"))
    phone.reply(await phone.hear("REFER"), "603 Decline")

    assert await moving == 603 and not call.over.done()
    with pytest.raises(InvalidValue):
        await call.refer("sip:100@x>\r\nEvil: yes")


async def test_who_hangs_up_after_a_transfer_has_been_taken_over(
    phone: Phone, call: SipDialog
) -> None:
    moving = asyncio.ensure_future(call.refer("sip:100@pbx.example.org"))
    phone.reply(await phone.hear("REFER"), "202 Accepted")
    phone.say(phone.compose("BYE", cseq=2))

    assert await moving == 200


# ── the way of our requests ──────────────────────────────────────────────────────────────────


async def test_our_requests_go_by_the_recorded_route(endpoint: SipEndpoint, desk: Desk) -> None:
    async with udp_phone(endpoint.port) as phone, udp_phone(endpoint.port) as proxy:
        routes = f"Record-Route: <sip:127.0.0.1:{proxy.port};lr>, <sip:10.0.0.8;lr>\r\n"
        await phone.call(extra=routes)
        call = await desk.call()
        hanging_up = asyncio.ensure_future(call.bye())
        goodbye = await proxy.hear("BYE")
        proxy.reply(goodbye, "200 OK")
        await hanging_up

    assert goodbye.uri == f"sip:phone@127.0.0.1:{phone.port}"
    assert goodbye.all("route") == [f"<sip:127.0.0.1:{proxy.port};lr>", "<sip:10.0.0.8;lr>"]


async def test_an_old_proxy_is_the_address_itself(endpoint: SipEndpoint, desk: Desk) -> None:
    async with udp_phone(endpoint.port) as phone, udp_phone(endpoint.port) as proxy:
        await phone.call(extra=f"Record-Route: <sip:127.0.0.1:{proxy.port}>\r\n")
        call = await desk.call()
        hanging_up = asyncio.ensure_future(call.bye())
        goodbye = await proxy.hear("BYE")
        proxy.reply(goodbye, "200 OK")
        await hanging_up

    assert goodbye.uri == f"sip:127.0.0.1:{proxy.port}"
    assert goodbye.all("route") == [f"<sip:phone@127.0.0.1:{phone.port}>"]


async def test_a_telephone_behind_a_nat_is_reached_where_it_called_from(
    endpoint: SipEndpoint, desk: Desk
) -> None:
    async with udp_phone(endpoint.port) as phone:
        phone.host = "192.168.77.7"
        await phone.call()
        call = await desk.call()
        hanging_up = asyncio.ensure_future(call.bye())
        goodbye = await phone.hear("BYE")
        phone.reply(goodbye, "200 OK")
        await hanging_up

    assert goodbye.uri.startswith("sip:phone@192.168.77.7")


async def test_closing_the_endpoint_hangs_up(opened, desk: Desk) -> None:
    endpoint = await opened()
    async with udp_phone(endpoint.port) as phone:
        await phone.call()
        call = await desk.call()
        closing = asyncio.ensure_future(endpoint.__aexit__(None, None, None))
        phone.reply(await phone.hear("BYE"), "200 OK")
        await closing

    assert call.over.result().by == "us"
