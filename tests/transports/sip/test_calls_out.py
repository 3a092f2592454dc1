"""An agent calls somebody: they talk, or it is told why not, and nothing is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from parley.core.call import CallInfo
from parley.core.errors import CallLimitReached, InvalidValue, NotFound, QuotaExceeded
from parley.session.admission import Reservation
from parley.session.dialling import Dial, Opening
from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.sip.options import Account
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import agent_with
from tests.transports.sip.callee import Callee
from tests.transports.sip.caller import phone_caller
from tests.transports.sip.phone import SDP_LINE
from tests.transports.sip.switchboard import Switchboard, switchboard

ANSWERED = ["call_started", "call_ringing", "media_started"]
MACHINE_GREETING = (
    "hello you have reached the office we are away today and can not take your call "
    "please leave your name and number after the tone and we will call you back"
)


@asynccontextmanager
async def called(listening: Listening, **options: Any) -> AsyncIterator[tuple[Switchboard, Callee]]:
    async with switchboard(listening, **options) as board, phone_caller(9) as caller:
        yield board, Callee(caller)


async def dial(board: Switchboard, callee: Callee, **wishes: Any) -> str:
    wish = Dial(target=callee.address, tenant="default", **wishes)
    return (await board.telephone.dial(wish)).id


async def test_somebody_who_answers_is_spoken_to_and_heard(listening: Listening):
    question = await CallerVoice()("what time is it")
    stt, tts = FakeTranscriber("what time is it"), FakeSynthesizer(word_ms=200)
    async with called(listening, stt=stt, tts=tts) as (board, callee):
        await dial(board, callee, caller="sip:desk@house.example", headers={"X-Campaign": "7"})
        invite = await callee.answer()
        await callee.caller.hear(100)
        await board.until("agent_speech_stopped")
        await callee.caller.speak(question)
        said = await board.until("user_transcript")
        await callee.caller.hear(100)
        callee.caller.leave()
        ended = await board.until("call_ended")

        started = await board.until("call_started")
        assert [name for name in board.names() if name in ANSWERED] == ANSWERED
        assert (started.call.direction, started.call.callee) == ("outbound", callee.address)
        assert invite.header("from").startswith("<sip:desk@house.example>")
        assert invite.header("x-campaign") == "7"
        assert said.text == "what time is it"
        assert ended.reason == "caller"
        assert await board.is_free()


async def test_whoever_answers_second_ends_nobody_elses_call(listening: Listening):
    async with called(listening) as (board, callee):
        await dial(board, callee)
        invite = await callee.answer()
        await board.until("media_started")
        first, callee.phone.tag = callee.phone.tag, "second"
        callee.phone.reply(invite, "200 OK", SDP_LINE, callee.caller.sdp)
        goodbye = await callee.phone.hear("BYE")
        callee.phone.reply(goodbye, "200 OK")
        callee.phone.tag = first
        callee.caller.leave()

        assert goodbye.to_tag == "second"
        assert (await board.until("call_ended")).reason == "caller"
        assert await board.is_free()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("486 Busy Here", "busy"),
        ("603 Decline", "declined"),
        ("480 Temporarily Unavailable", "no_answer"),
        ("404 Not Found", "unknown"),
        ("500 Broken", "unreachable"),
    ],
)
async def test_why_nobody_took_the_call_is_told(listening: Listening, status: str, reason: str):
    async with called(listening) as (board, callee):
        await dial(board, callee)
        await callee.refuse(status)
        failed = await board.until("call_failed")
        ended = await board.until("call_ended")

        assert (failed.code, ended.reason) == ("call_not_taken", reason)
        assert status in failed.message
        assert "media_started" not in board.names()
        assert await board.is_free()


async def test_whoever_lets_it_ring_too_long_is_called_no_more(listening: Listening):
    async with called(listening) as (board, callee):
        await dial(board, callee, ring_limit_s=0.3)
        invite = await callee.ring()
        cancel = await callee.phone.hear("CANCEL")
        callee.phone.reply(cancel, "200 OK")
        callee.phone.reply(invite, "487 Request Terminated")

        assert (await board.until("call_ended")).reason == "no_answer"
        assert await board.is_free()


@pytest.mark.parametrize("place", ["127.0.0.1:9;transport=tcp", "nowhere.invalid", "127.0.0.1:9"])
async def test_who_cannot_be_reached_is_told_as_that(listening: Listening, place: str):
    async with switchboard(listening) as board:
        await board.telephone.dial(Dial(target=f"sip:bob@{place}", tenant="default"))

        assert (await board.until("call_ended")).reason == "unreachable"
        assert await board.is_free()


async def test_a_call_that_is_hung_up_while_it_rings_is_taken_back(listening: Listening):
    async with called(listening) as (board, callee):
        call_id = await dial(board, callee)
        invite = await callee.ring()
        await board.until("call_ringing")
        control = board.host.find(call_id)
        assert control is not None
        control.end("agent")
        callee.phone.reply(await callee.phone.hear("CANCEL"), "200 OK")
        callee.phone.reply(invite, "487 Request Terminated")

        assert (await board.until("call_ended")).reason == "agent"
        assert await board.is_free()


async def test_a_password_is_given_to_the_trunk(listening: Listening):
    account = Account(username="501", password="open sesame")
    async with phone_caller(9) as caller:
        callee = Callee(caller)
        proxy = f"sip:127.0.0.1:{callee.phone.port}"
        async with switchboard(listening, sip={"account": account, "proxy": proxy}) as board:
            await board.telephone.dial(Dial(target="tel:+49-30-123", tenant="default"))
            first = await callee.phone.hear("INVITE")
            demand = 'Proxy-Authenticate: Digest realm="trunk", nonce="n", qop="auth"\r\n'
            callee.phone.reply(first, "407 Who Are You", demand)
            await callee.phone.hear("ACK")
            second = await callee.refuse("486 Busy Here")
            ended = await board.until("call_ended")

    assert first.uri == f"sip:+4930123@127.0.0.1:{callee.phone.port};user=phone"
    assert first.header("from").startswith("<sip:501@127.0.0.1")
    assert ended.reason == "busy"
    assert 'username="501"' in second.header("proxy-authorization")


async def test_what_cannot_be_called_takes_no_place(listening: Listening):
    async with switchboard(listening, max_calls=1) as board:
        for wish, error in (
            (Dial(target="bob", tenant="default"), InvalidValue),
            (Dial(target="tel:+4930123", tenant="default"), InvalidValue),
            (Dial(target="sip:a@127.0.0.1", tenant="default", agent="nobody"), NotFound),
        ):
            with pytest.raises(error):
                await board.telephone.dial(wish)

        assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)


async def test_calls_out_have_their_limit_in_common_with_all_others(listening: Listening):
    async with called(listening, max_calls=1) as (board, callee):
        await dial(board, callee)
        with pytest.raises(CallLimitReached):
            await dial(board, callee)
        await callee.refuse("486 Busy Here")

        assert await board.is_free()


async def test_a_tenant_whose_quota_is_spent_calls_nobody(listening: Listening):
    async with called(listening, admission=_Spent()) as (board, callee):
        with pytest.raises(QuotaExceeded):
            await dial(board, callee)

        assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)
        assert callee.phone.heard() == []


class _Spent:
    """An admission that lets nobody in."""

    async def reserve(self, call: CallInfo) -> Reservation:
        raise QuotaExceeded(f"{call.tenant} has no minutes left today.")


# ── people and machines ──────────────────────────────────────────────────────────────────────


def tone(duration_ms: int, pitch_hz: float = 1000.0) -> bytes:
    at = np.arange(CALLER_HZ * duration_ms // 1000) / CALLER_HZ
    return (8000 * np.sin(2 * np.pi * pitch_hz * at)).astype(np.int16).tobytes()


async def test_a_person_who_says_hello_is_greeted_then(listening: Listening):
    hello = await CallerVoice().speak("hello")
    opening = Opening("hang_up", greeting="Good morning to you.")
    tts = FakeSynthesizer(word_ms=50)
    async with called(listening, tts=tts) as (board, callee):
        await dial(board, callee, opening=opening)
        await callee.answer()
        await callee.caller.speak(hello)
        answered = await board.until("call_answered_by")
        await callee.caller.until(lambda: callee.caller.audible_ms > 50)
        callee.caller.leave()
        await board.until("call_ended")

    assert (answered.by, answered.rule) == ("human", "short_greeting")
    assert tts.texts[0] == "Good morning to you."
    assert "user_speech_started" not in board.names()


async def test_a_machine_is_hung_up_on_where_that_is_wished(listening: Listening):
    greeting = await CallerVoice().speak(MACHINE_GREETING)
    async with called(listening) as (board, callee):
        await dial(board, callee, opening=Opening("hang_up"))
        await callee.answer()
        speaking = asyncio.create_task(callee.caller.speak(greeting))
        answered = await board.until("call_answered_by")
        await callee.caller.hear_goodbye()
        speaking.cancel()

        assert (answered.by, answered.rule) == ("machine", "long_greeting")
        assert (await board.until("call_ended")).reason == "machine"
        assert "agent_speech_started" not in board.names()
        assert await board.is_free()


async def test_a_message_is_left_after_the_tone_and_to_its_last_word(listening: Listening):
    greeting = await CallerVoice().speak(MACHINE_GREETING)
    opening = Opening("leave_message", message="Please call us back.")
    tts = FakeSynthesizer(word_ms=100)
    async with called(listening, tts=tts) as (board, callee):
        await dial(board, callee, opening=opening)
        await callee.answer()
        await callee.caller.speak(greeting[: CALLER_HZ * 2 * 3] + tone(400))
        heard_before_ms = callee.caller.audible_ms
        await callee.caller.hear_goodbye()

        assert (await board.until("call_answered_by")).by == "machine"
        assert heard_before_ms == 0
        assert callee.caller.audible_ms >= 380
        assert tts.texts == ["Please call us back."]
        assert (await board.until("call_ended")).reason == "machine"


async def test_a_machine_may_be_talked_to_like_anybody(listening: Listening):
    agent = agent_with(greeting="Hello there.")
    async with called(listening, agents=[agent]) as (board, callee):
        await dial(board, callee, opening=Opening("go_on"))
        await callee.answer()
        await callee.caller.speak(tone(400))
        answered = await board.until("call_answered_by")
        await callee.caller.until(lambda: callee.caller.audible_ms > 10)
        callee.caller.leave()

        assert (answered.by, answered.rule) == ("machine", "beep")
        assert (await board.until("call_ended")).reason == "caller"
