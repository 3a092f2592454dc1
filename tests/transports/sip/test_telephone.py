"""A telephone reaches an agent: they talk, and whoever leaves, everything is free again."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any

import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from parley.core.call import CallInfo
from parley.core.errors import QuotaExceeded
from parley.session.admission import Reservation
from parley.session.last_words import GOODBYE_LIMIT_S
from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.sip.options import TlsFiles
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.webrtc.opus import Libopus
from tests.caller_voice import CallerVoice
from tests.session.fakes import agent_with
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.phone import stream_phone
from tests.transports.sip.rtp.far_end import EVENTS, sdp
from tests.transports.sip.switchboard import Switchboard, switchboard

RELAY = "Content-Type: application/dtmf-relay\r\n"
OPUS_TYPE = 111
SILENT = agent_with(greeting="")


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


async def test_a_telephone_that_offers_opus_is_heard_and_spoken_to_in_it(listening: Listening):
    opus = OPUS_TYPE, ["a=rtpmap:111 opus/48000/2"]
    libopus, line = Libopus(), LineOptions(codecs=(OPUS, G722, PCMU))
    async with (
        switchboard(listening, line=line) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        body = sdp(caller.sound.port, formats=f"{opus[0]} 0", lines=opus[1])
        answer = await caller.call(body=body)
        sent = caller.sound.packets
        await caller.until(lambda: sum(p.payload_type == OPUS_TYPE for p in sent) > 10)
        decoder = libopus.decoder(16_000)
        heard = b"".join(decoder.decode(p.payload) for p in sent if p.payload_type == OPUS_TYPE)

    assert "a=rtpmap:111 opus/48000/2" in answer.body
    assert np.abs(np.frombuffer(heard, np.int16)).max() > 50


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


@pytest.mark.parametrize("has_begun_to_speak", [True, False])
async def test_a_telephone_that_closes_waits_for_no_word_that_nobody_can_hear(
    has_begun_to_speak: bool, listening: Listening
):
    agent = agent_with(greeting="a long greeting", goodbye="a long goodbye")
    tts = FakeSynthesizer(word_ms=2000)
    async with (
        switchboard(listening, agents=[agent], tts=tts) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        if has_begun_to_speak:
            await caller.hear(10)
        closing = asyncio.create_task(board.telephone.__aexit__(None, None, None))
        goodbye = await caller.hear_goodbye()
        async with asyncio.timeout(GOODBYE_LIMIT_S):
            ended = await board.until("call_ended")
        await closing
        await board.host.drain(5)

        assert (board.host.live_calls, board.telephone.live_calls) == (0, 0)
    assert ended.reason == "drain"
    assert "going down" in goodbye.header("reason")


async def test_a_held_caller_is_hung_up_on_without_waiting_to_say_goodbye(listening: Listening):
    agent = agent_with(greeting="", goodbye="a long goodbye")
    tts = FakeSynthesizer(word_ms=2000)
    async with (
        switchboard(listening, agents=[agent], tts=tts) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        await caller.offer("sendonly")
        await board.until("call_held")
        (await board.control()).end("idle")
        async with asyncio.timeout(GOODBYE_LIMIT_S):
            await caller.hear_goodbye()

        assert (await board.until("call_ended")).reason == "idle"
        assert tts.texts == []


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


# ── secrets ──────────────────────────────────────────────────────────────────────────────────


async def test_sound_is_secret_where_its_keys_are(listening: Listening, tls: TlsFiles):
    key = base64.b64encode(bytes(range(30))).decode()
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}"
    offer = sdp(4000, profile="RTP/SAVP", lines=[*EVENTS, crypto])
    trusting = ssl.create_default_context(cafile=tls.certificate)
    async with switchboard(listening, sip={"tls": tls, "tls_port": 0}) as board:
        endpoint = board.telephone.endpoint
        async with stream_phone(endpoint.tls_port, trusting) as phone:
            answer = await phone.call(uri="sip:tester@127.0.0.1", body=offer)
            await board.until("media_started")
        async with phone_caller(endpoint.port) as caller:
            refusal = await caller.refused(body=offer)

    assert "RTP/SAVP" in answer.body
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in answer.body
    assert key not in answer.body
    assert refusal.status == 488


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
