"""What the caller says to a question is its answer; what was said before or besides is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from parley.core.errors import (
    CallNotLive,
    FarSideRefused,
    NoAnswer,
    NotReady,
    NotSupported,
    QuestionPending,
)
from parley.core.events import (
    AgentSpeechStarted,
    AgentText,
    Event,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from parley.session.asking import Question
from parley.session.host import SessionHost
from parley.session.live_call import LiveCall
from parley.testing.engines import FakeTranscriber
from parley.testing.transport import FakeTransport
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import FakeHouse, agent_with, start_call
from tests.session.test_host import NeverConnected

PUT = AgentText(call_id="c", text="Who is there?")
HEARD = AgentSpeechStarted(call_id="c")
BEGINS = UserSpeechStarted(call_id="c")
STOPS = UserSpeechStopped(call_id="c")
PARTIAL = UserTranscript(call_id="c", text="It is", final=False)
ANSWER = UserTranscript(call_id="c", text="It is me.", final=True)
NOTHING = UserTranscript(call_id="c", text=" ", final=True)
ELSEWHERE = replace(ANSWER, call_id="other")


@pytest.mark.parametrize(
    ("events", "is_answered"),
    [
        pytest.param([PUT, HEARD, BEGINS, PARTIAL, STOPS, ANSWER], True, id="spoken"),
        pytest.param([PUT, HEARD, ANSWER], True, id="typed"),
        pytest.param([PUT, HEARD, STOPS, ANSWER], False, id="begun before"),
        pytest.param([PUT, HEARD, STOPS, ANSWER, BEGINS, STOPS, ANSWER], True, id="the next"),
        pytest.param([PUT, BEGINS, STOPS, ANSWER], False, id="before it was heard"),
        pytest.param([HEARD, BEGINS, STOPS, ANSWER], False, id="to something else"),
        pytest.param([PUT, HEARD, BEGINS, STOPS, NOTHING], False, id="not understood"),
        pytest.param([PUT, HEARD, BEGINS, STOPS, ELSEWHERE], False, id="another call"),
    ],
)
async def test_only_what_follows_the_question_answers_it(
    events: list[Event], is_answered: bool
) -> None:
    question = Question("c", "Who is there?")

    for event in events:
        await question.listen(event)

    assert question.answer.done() is is_answered
    assert not is_answered or question.answer.result() == "It is me."


def live(host: SessionHost) -> LiveCall:
    (call,) = host.live("default")
    return call


async def test_a_spoken_answer_comes_back(house: FakeHouse):
    house.stt = FakeTranscriber("my name is smith")
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        asking = asyncio.create_task(live(host).ask("Who is there?", timeout_s=30))
        await call.until("agent_speech_started", count=2)
        await call.transport.speak(await CallerVoice()("my name is smith"))
        await call.transport.speak(bytes(CALLER_HZ * 2))

        assert await asking == "my name is smith"


async def test_a_question_interrupts_and_is_answered_in_writing(house: FakeHouse):
    house.agents = [agent_with(greeting="word " * 200)]
    async with house.host() as host:
        call = start_call(host)
        await call.until("agent_speech_started")

        asking = asyncio.create_task(live(host).ask("Who is there?", timeout_s=30))
        await call.until("agent_speech_started", count=2)
        await call.control.ask("Smith.")

        assert await asking == "Smith."


async def test_silence_is_told_and_a_second_question_waits_for_the_first(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        asking = asyncio.create_task(live(host).ask("Who is there?", timeout_s=0.5))
        await asyncio.sleep(0)
        with pytest.raises(QuestionPending):
            await live(host).ask("Hello?", timeout_s=30)
        with pytest.raises(NoAnswer, match=r"0\.5 seconds"):
            await asking
        with pytest.raises(NoAnswer):
            await live(host).ask("Hello?", timeout_s=0.1)


async def test_a_call_that_ends_leaves_no_question_waiting(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        asking = asyncio.create_task(live(host).ask("Who is there?", timeout_s=60))
        await call.until("agent_text", count=2)
        call.transport.leave()

        with pytest.raises(CallNotLive, match="before the caller answered"):
            await asking


async def test_nothing_is_said_to_who_is_not_there_yet_or_is_leaving(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host, transport=NeverConnected())
        await call.until("call_started")

        with pytest.raises(NotReady, match="not connected yet"):
            await live(host).say("Hello?")
        held = live(host)
        held.hang_up()
        for action in (held.say("Hello?"), held.ask("Hello?", timeout_s=1), held.transfer("100")):
            with pytest.raises(CallNotLive, match="is ending"):
                await action
        with pytest.raises(CallNotLive, match="is ending"):
            held.hang_up()


class Switchboard(FakeTransport):
    """A transport that can hand callers on, have them wait and press keys."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.done: list[str] = []

    async def transfer(self, target: str) -> None:
        self.targets.append(target)

    async def hold(self) -> None:
        self.done.append("hold")

    async def resume(self) -> None:
        self.done.append("resume")

    async def send_dtmf(self, digits: str) -> None:
        self.done.append(digits)


async def test_a_call_is_handed_on_and_everybody_is_told(house: FakeHouse):
    async with house.host() as host:
        switchboard = Switchboard()
        call = start_call(host, transport=switchboard)
        await call.until("turn_ended")

        await live(host).transfer("+49 30 1234")
        told = await call.until("call_transferred")

        assert switchboard.targets == ["+49 30 1234"]
        assert told.target == "+49 30 1234"


class Stubborn(FakeTransport):
    """A telephone whose other side hands nobody on."""

    async def transfer(self, target: str) -> None:
        raise FarSideRefused("The call couldn't be transferred: the line is busy (486).")


async def test_a_far_side_that_refuses_is_told_as_that_and_the_call_goes_on(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host, transport=Stubborn())
        await call.until("turn_ended")

        with pytest.raises(FarSideRefused, match="the line is busy"):
            await live(host).transfer("sip:100@127.0.0.1")

        assert not live(host).is_ending
        assert "call_transferred" not in call.names()


async def test_a_transport_that_hands_on_nobody_says_so(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        with pytest.raises(NotSupported, match="came by fake can't be transferred"):
            await live(host).transfer("100")

        assert "call_transferred" not in call.names()


async def test_a_tenant_finds_its_own_calls_only(house: FakeHouse):
    async with house.host() as host:
        start_call(host, tenant="acme")

        assert [each.call.tenant for each in host.live("acme")] == ["acme"]
        assert host.live("default") == []
