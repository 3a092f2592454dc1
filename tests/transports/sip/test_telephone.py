"""A telephone reaches an agent: they talk, and whoever leaves, everything is free again."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiortc.rtp import RtpPacket

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.core.errors import NotReady, QuotaExceeded
from parley.core.events import Event
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import SileroVad
from parley.session.admission import Reservation
from parley.session.control import SessionControl
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.sip.options import SipOptions
from parley.transports.sip.rtp.codecs import G722, PCMA, PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from tests.caller_voice import CallerVoice
from tests.session.fakes import AGENT, FakeHouse, agent_with
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.conftest import T1_S
from tests.transports.sip.rtp.far_end import sdp

HERE = (ipaddress.ip_network("127.0.0.0/8"),)
RELAY = "Content-Type: application/dtmf-relay\r\n"
SILENT = agent_with(greeting="")


@dataclass
class Switchboard:
    """A telephone with a fake house behind it, and what happens in its calls."""

    telephone: Telephone
    host: SessionHost
    events: list[Event] = field(default_factory=list[Event])
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    async def note(self, event: Event) -> None:
        self.events.append(event)
        self.happened.set()

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    async def until(self, name: str) -> Any:
        async with asyncio.timeout(15):
            while name not in self.names():
                self.happened.clear()
                await self.happened.wait()
        return next(event for event in self.events if event.name == name)

    async def control(self) -> SessionControl:
        started = await self.until("media_started")
        control = self.host.find(started.call_id)
        assert control is not None
        return control

    async def is_free(self) -> bool:
        """Once the call is over: whether nothing of it is left."""
        await self.until("call_ended")
        await self.host.drain(5)
        left = (self.host.live_calls, self.telephone.live_calls, self.telephone.endpoint.live_calls)
        return left == (0, 0, 0)


@pytest.fixture(scope="module")
def listening() -> Iterator[Listening]:
    models = Listening(SileroVad(), SmartTurn())
    models.warm_up()
    yield models
    models.close()


@asynccontextmanager
async def switchboard(
    listening: Listening,
    *,
    agents: Sequence[Agent] = (AGENT,),
    max_calls: int = 4,
    line: LineOptions | None = None,
    sip: dict[str, Any] | None = None,
    **engines: Any,
) -> AsyncIterator[Switchboard]:
    board: list[Switchboard] = []

    async def note(event: Event) -> None:
        await board[0].note(event)

    house = FakeHouse(listening, list(agents), listeners=[note], **engines)
    options = TelephoneOptions(
        SipOptions(port=0, t1_s=T1_S, closing_s=1.0, **(sip or {})),
        line or LineOptions(codecs=(G722, PCMU, PCMA)),
        (30_000, 31_999),
    )
    tasks = asyncio.all_tasks()
    async with house.host(max_calls=max_calls) as host, Telephone(options, host) as telephone:
        board.append(Switchboard(telephone, host))
        yield board[0]
    left = [t for t in asyncio.all_tasks() - tasks if t is not asyncio.current_task()]
    assert not left, left


@pytest.fixture
async def board(listening: Listening) -> AsyncIterator[Switchboard]:
    async with switchboard(listening) as board:
        yield board


@pytest.fixture
async def caller(board: Switchboard) -> AsyncIterator[PhoneCaller]:
    async with phone_caller(board.telephone.endpoint.port) as caller:
        yield caller


# ── talking ──────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_rings_is_answered_and_hears_the_greeting(
    board: Switchboard, caller: PhoneCaller
):
    caller.phone.say(caller.phone.invite(uri="sip:tester@127.0.0.1", body=caller.sdp))
    ringing = await caller.phone.hear(180)
    answer = await caller.phone.hear(200)
    caller.phone.far_tag = answer.to_tag
    caller.phone.acknowledge(answer)
    caller.begin(answer.body)
    await caller.hear(10)

    started = await board.until("call_started")
    assert ringing.status == 180
    assert (started.call.transport, started.call.agent) == ("sip", "tester")
    assert started.call.caller == "sip:phone@127.0.0.1"


async def test_a_caller_asks_and_hears_the_answer(listening: Listening):
    question = await CallerVoice()("what time is it")
    stt = FakeTranscriber("what time is it")
    tts = FakeSynthesizer(word_ms=200)
    async with (
        switchboard(listening, agents=[SILENT], stt=stt, tts=tts) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        await caller.speak(question)
        await caller.hear(100)

        spoken = await board.until("agent_speech_stopped")
        turn = await board.until("turn_ended")

    assert stt.heard_ms[0] > 400
    assert spoken.played_ms == 200
    assert (turn.heard, turn.interrupted) == ("Yes.", False)


async def test_an_offer_in_the_ack_is_as_good_as_one_in_the_invite(
    board: Switchboard, caller: PhoneCaller
):
    caller.phone.say(caller.phone.invite(uri="sip:tester@127.0.0.1", body=""))
    offered = await caller.phone.hear(200)
    caller.phone.far_tag = offered.to_tag
    caller.phone.acknowledge(offered, caller.sdp)
    caller.begin(offered.body)

    await caller.hear(10)
    assert "PCMU/8000" in offered.body


async def test_speech_over_the_agent_stops_it_at_once(listening: Listening):
    interruption = await CallerVoice()("please stop I have a question")
    agent = agent_with(greeting="one two three four five six seven eight nine ten " * 3)
    tts = FakeSynthesizer(word_ms=400)
    async with (
        switchboard(listening, agents=[agent], tts=tts) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        await caller.hear(400)
        await caller.speak(interruption)

        stopped = await board.until("agent_speech_stopped")
        control = await board.control()
        control.end("error")
        await caller.hear_goodbye()

    assert 400 <= stopped.played_ms < 12_000


# ── leaving ──────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_who_hangs_up_leaves_nothing_behind(board: Switchboard, caller: PhoneCaller):
    await caller.call()
    await caller.hear(10)
    caller.leave()

    assert (await caller.phone.hear(200)).header("cseq").endswith("BYE")
    assert (await board.until("call_ended")).reason == "caller"
    assert await board.is_free()


async def test_the_agents_last_word_is_heard_before_its_goodbye(listening: Listening):
    agent = agent_with(greeting="one two three")
    tts = FakeSynthesizer(word_ms=300)
    async with (
        switchboard(listening, agents=[agent], tts=tts) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        await caller.hear(10)
        (await board.control()).end("agent")
        await caller.hear_goodbye()
        heard_ms = caller.audible_ms

        assert (await board.until("call_ended")).reason == "agent"
        assert heard_ms >= 880
        assert await board.is_free()


async def test_a_line_that_has_fallen_silent_is_given_up(listening: Listening):
    line = LineOptions(codecs=(PCMU,), silence_limit_s=0.3)
    async with (
        switchboard(listening, agents=[SILENT], line=line) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        caller.is_muted = True
        bye = await caller.hear_goodbye()

        assert "error" in bye.header("reason")
        assert (await board.until("call_ended")).reason == "error"


async def test_a_caller_who_gives_up_while_it_rings_takes_no_place(listening: Listening):
    hangs = _Waits()
    async with (
        switchboard(listening, admission=hangs) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        invite = caller.phone.invite(uri="sip:tester@127.0.0.1", body=caller.sdp, branch="z9hG4bKx")
        caller.phone.say(invite)
        await hangs.asked.wait()
        caller.phone.say(
            caller.phone.compose("CANCEL", uri="sip:tester@127.0.0.1", branch="z9hG4bKx")
        )
        refusal = await caller.phone.hear(487)
        hangs.go.set()
        await board.host.drain(5)

        assert refusal.status == 487
        assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)
        assert board.events == []


# ── keys, hold, transfer ─────────────────────────────────────────────────────────────────────


async def test_a_key_is_told_once_even_if_it_comes_both_ways(
    board: Switchboard, caller: PhoneCaller
):
    await caller.call()
    await board.until("media_started")
    first = await caller.ask("INFO", extra=RELAY, body="Signal=5\r\nDuration=160\r\n")
    caller.sound.play(_event_packets(5), caller.far_port)
    second = await caller.ask("INFO", extra=RELAY, body="Signal=#\r\nDuration=160\r\n")
    wrong = await caller.ask("INFO", extra=RELAY, body="Signal=Z\r\n")

    keys = [event.digit for event in board.events if event.name == "dtmf_received"]
    assert (first.status, second.status, wrong.status) == (200, 200, 415)
    assert keys == ["5", "#"]


async def test_a_key_beside_the_sound_is_told(board: Switchboard, caller: PhoneCaller):
    await caller.call()
    await board.until("media_started")
    caller.sound.play(_event_packets(11), caller.far_port)

    assert (await board.until("dtmf_received")).digit == "#"


async def test_the_callers_hold_is_told_and_taken_back(board: Switchboard, caller: PhoneCaller):
    await caller.call()
    await board.until("media_started")
    held = await caller.offer("sendonly")
    await board.until("call_held")
    resumed = await caller.offer("sendrecv")

    await board.until("call_resumed")
    assert "a=recvonly" in held.body
    assert "a=sendrecv" in resumed.body


async def test_a_caller_is_handed_on_and_the_agent_steps_back(
    board: Switchboard, caller: PhoneCaller
):
    await caller.call()
    control = await board.control()
    handing_on = asyncio.create_task(control.transfer("sip:desk@127.0.0.1"))
    refer = await caller.phone.hear("REFER")
    caller.phone.reply(refer, "202 Accepted")
    state = "Event: refer\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n"
    await caller.ask("NOTIFY", extra=state, body="SIP/2.0 200 OK\r\n")
    await handing_on
    await caller.hear_goodbye()

    assert "sip:desk@127.0.0.1" in refer.header("refer-to")
    assert (await board.until("call_transferred")).target == "sip:desk@127.0.0.1"
    assert (await board.until("call_ended")).reason == "agent"


# ── refusing ─────────────────────────────────────────────────────────────────────────────────


async def test_a_full_house_says_when_to_try_again(listening: Listening):
    async with (
        switchboard(listening, max_calls=0) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        refusal = await caller.refused()

    assert (refusal.status, refusal.header("retry-after")) == (503, "5")


async def test_a_draining_house_takes_no_more_calls(board: Switchboard, caller: PhoneCaller):
    board.telephone.drain()

    refusal = await caller.refused()

    assert refusal.status == 503
    assert int(refusal.header("retry-after")) > 0


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [(QuotaExceeded("Spent."), 486, ""), (NotReady("Loading."), 480, "5")],
    ids=["quota", "not ready"],
)
async def test_who_may_not_call_now_hears_why(
    error: Exception, status: int, retry_after: str, listening: Listening
):
    async with (
        switchboard(listening, admission=_Refuses(error)) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        refusal = await caller.refused()
        left = board.host.live_calls

    assert (refusal.status, refusal.header("retry-after")) == (status, retry_after)
    assert str(error) in refusal.header("reason") or error.args[0] in refusal.header("reason")
    assert left == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [(sdp(4000, formats="18"), 488), ("v=0\r\nnonsense\r\n", 400)],
    ids=["no codec in common", "no description"],
)
async def test_a_description_that_nobody_can_answer_takes_no_line(
    body: str, status: int, board: Switchboard, caller: PhoneCaller
):
    refusal = await caller.refused(body=body)

    assert refusal.status == status
    assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)


@pytest.mark.parametrize(
    ("dialled", "header", "trusted", "answers"),
    [
        ("other", "", False, "other"),
        ("other", "tester", True, "other"),
        ("+4930123456", "", False, "tester"),
        ("parley", "", False, "tester"),
        ("+4930123456", "other", True, "other"),
        ("+4930123456", "other", False, "tester"),
        ("nobody", "other", True, "other"),
        ("nobody", "", False, ""),
        ("+4930123456", "nobody", True, ""),
    ],
)
async def test_the_agent_answers_that_was_called(
    dialled: str, header: str, trusted: bool, answers: str, listening: Listening
):
    agents = [AGENT, agent_with(name="other")]
    sip = {"peers": HERE} if trusted else {}
    extra = f"X-Parley-Agent: {header}\r\n" if header else ""
    async with (
        switchboard(listening, agents=agents, sip=sip) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        if not answers:
            assert (await caller.refused(dialled, extra=extra)).status == 404
            return
        await caller.call(dialled, extra=extra)
        assert (await board.until("call_started")).call.agent == answers


class _Refuses:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def reserve(self, call: CallInfo) -> Reservation:
        raise self._error


class _Waits:
    """An admission that takes its time, and then refuses."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def reserve(self, call: CallInfo) -> Reservation:
        self.asked.set()
        await self.go.wait()
        raise QuotaExceeded("Spent meanwhile.")


def _event_packets(event: int) -> list[Any]:
    return [
        RtpPacket(
            96,
            int(n == 0),
            1000 + n,
            500_000,
            7,
            bytes([event, 10 | (0x80 if n > 2 else 0)]) + (160 * min(n + 1, 4)).to_bytes(2),
        )
        for n in range(6)
    ]
