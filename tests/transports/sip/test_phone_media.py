"""What an agent can do with a telephone call, and what becomes of it when the far side won't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from parley.core.errors import CallNotLive, InvalidValue, NotSupported
from parley.core.events import Event
from parley.transports.keypad import DIGITS
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.info_keys import PLAIN, RELAY, read_key, write_key
from parley.transports.sip.options import SipOptions
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.rtp.codecs import PCMU
from parley.transports.sip.rtp.line import LineListener, LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.wheel import Wheel
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.conftest import T1_S
from tests.transports.sip.phone import SDP_LINE
from tests.transports.sip.rtp.far_end import LOOPBACK, sdp


class Receiver:
    """Answers with a call's media and nobody behind it."""

    def __init__(self) -> None:
        self.wheel = Wheel()
        self.ports = PortRange(LOOPBACK, 34_000, 34_999)
        self.answered: asyncio.Queue[PhoneMedia] = asyncio.Queue()
        self.over: list[PhoneMedia] = []
        self.events: list[Event] = []

    async def take(self, invite: IncomingInvite) -> None:
        media = PhoneMedia("call_test", partial(self._line, invite), self.over.append)
        await invite.answer(media.line.answer(invite.offer), media.take_over)
        media.listen(self.events.append)
        self.answered.put_nowait(media)

    def _line(self, invite: IncomingInvite, listener: LineListener) -> PhoneLine:
        options = LineOptions(codecs=(PCMU,))
        return PhoneLine(options, self.ports, self.wheel, listener, host=invite.own_host)


@asynccontextmanager
async def answered(
    receiver: Receiver, body: str = ""
) -> AsyncIterator[tuple[PhoneMedia, PhoneCaller]]:
    options = SipOptions(port=0, t1_s=T1_S, closing_s=1.0)
    tasks = asyncio.all_tasks()
    async with (
        SipEndpoint(options, receiver.take) as endpoint,
        phone_caller(endpoint.port) as caller,
    ):
        await caller.call(**({"body": body} if body else {}))
        media = await receiver.answered.get()
        try:
            yield media, caller
        finally:
            await media.hang_up("error")
    receiver.wheel.close()
    left = [t for t in asyncio.all_tasks() - tasks if t is not asyncio.current_task()]
    assert not left, left


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


async def test_the_agent_puts_the_caller_on_hold_and_takes_it_back(receiver: Receiver):
    async with answered(receiver) as (media, caller):
        holding = asyncio.create_task(media.hold())
        offer = await caller.phone.hear("INVITE")
        caller.phone.reply(offer, "200 OK", SDP_LINE, sdp(caller.sound.port, lines=["a=recvonly"]))
        await holding
        is_heard_on_hold = media.line.agreed is not None and media.line.agreed.may_hear
        resuming = asyncio.create_task(media.resume())
        back = await caller.phone.hear("INVITE")
        caller.phone.reply(back, "200 OK", SDP_LINE, caller.sdp)
        await resuming

        assert "a=sendonly" in offer.body
        assert "a=sendrecv" in back.body
        assert not is_heard_on_hold
        assert media.line.agreed is not None
        assert media.line.agreed.may_hear
        assert receiver.events == []


async def test_a_hold_that_is_refused_leaves_the_call_as_it_was(receiver: Receiver):
    async with answered(receiver) as (media, caller):
        holding = asyncio.create_task(media.hold())
        caller.phone.reply(await caller.phone.hear("INVITE"), "488 Not Acceptable Here")
        with pytest.raises(NotSupported, match="488"):
            await holding

        assert media.line.agreed is not None
        assert media.line.agreed.may_hear


async def test_keys_go_out_beside_the_sound(receiver: Receiver):
    async with answered(receiver) as (media, caller):
        await media.send_dtmf("4#")

        events = [p.payload for p in caller.sound.packets if p.payload_type == 96]
        ended = [DIGITS[payload[0]] for payload in events if payload[1] & 0x80]
        assert ended == ["4"] * 3 + ["#"] * 3


@pytest.mark.parametrize("status", ["200 OK", "415 Unsupported Media Type"])
async def test_keys_go_by_info_where_the_sound_takes_none(status: str, receiver: Receiver):
    async with answered(receiver, sdp(4000)) as (media, caller):
        sending = asyncio.create_task(media.send_dtmf("4"))
        info = await caller.phone.hear("INFO")
        caller.phone.reply(info, status)
        if status.startswith("200"):
            await sending
        else:
            with pytest.raises(NotSupported, match="415"):
                await sending

        assert info.header("content-type") == RELAY
        assert info.body.startswith("Signal=4\r\n")


async def test_what_is_on_no_keypad_is_not_sent(receiver: Receiver):
    async with answered(receiver) as (media, _):
        with pytest.raises(InvalidValue, match="X"):
            await media.send_dtmf("4X")


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "603 Decline"])
async def test_a_transfer_that_is_refused_says_so_and_the_call_goes_on(
    status: str, receiver: Receiver
):
    async with answered(receiver) as (media, caller):
        handing_on = asyncio.create_task(media.transfer("sip:desk@127.0.0.1"))
        caller.phone.reply(await caller.phone.hear("REFER"), status)
        with pytest.raises(NotSupported, match=status[:3]):
            await handing_on

        assert not media.call.over.done()


async def test_nothing_can_be_done_with_a_call_that_is_over(receiver: Receiver):
    async with answered(receiver) as (media, caller):
        caller.leave()
        end = await media.gone()

        assert end == "caller"
        for doing in (media.hold(), media.send_dtmf("1"), media.transfer("sip:desk@127.0.0.1")):
            with pytest.raises(CallNotLive):
                await doing


async def test_hanging_up_twice_says_goodbye_once_and_frees_the_ports(receiver: Receiver):
    async with answered(receiver) as (media, caller):
        both = asyncio.gather(media.hang_up("limit"), media.hang_up("agent"))
        bye = await caller.hear_goodbye()
        await both

        assert "limit" in bye.header("reason")
        assert receiver.over == [media]
        assert len(receiver.wheel) == 0
        assert [seen for seen in caller.phone.heard() if seen.method == "BYE"] == []


async def test_a_telephone_that_never_answers_the_goodbye_holds_nothing_up(receiver: Receiver):
    async with answered(receiver) as (media, _):
        async with asyncio.timeout(5):
            await media.hang_up("agent")

        assert receiver.over == [media]


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        (RELAY, "Signal=5\r\nDuration=160\r\n", "5"),
        (RELAY, "Signal= #\nDuration= 250\n", "#"),
        (RELAY, "Duration=160\r\nsignal=10", "*"),
        (RELAY, write_key("d"), "D"),
        (PLAIN, "7", "7"),
    ],
)
def test_keys_are_read_as_telephones_write_them(kind: str, body: str, key: str):
    assert read_key(kind, body) == key
