"""Calls that OpenSIPS holds for us: answered, heard, spoken to, ended."""

from __future__ import annotations

import asyncio
import json

import pytest

from parley.session.last_words import GOODBYE_LIMIT_S
from parley.session.turns import Listening
from parley.settings.agent_rules import AgentRule
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.transports.opensips.gateway import OpenSips
from parley.transports.opensips.options import OpenSipsOptions
from parley.transports.sip.options import SipOptions
from parley.transports.sip.rtp.codecs import PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from parley.transports.wheel import Wheel
from tests.caller_voice import CallerVoice
from tests.session.fakes import FakeHouse, agent_with
from tests.transports.opensips.board import (
    PORTS,
    QUICK,
    Board,
    Caller,
    Waits,
    board_at,
    sound_caller,
)
from tests.transports.opensips.fake_opensips import FakeOpenSips, Session
from tests.transports.sip.caller import phone_caller
from tests.transports.sip.phone import T1_S
from tests.transports.sip.rtp.far_end import sdp

SILENT = agent_with(greeting="")
RELAY = "Content-Type: application/dtmf-relay\r\n"


# ── talking ──────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_rings_is_answered_and_hears_the_greeting(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    await caller.hear(10)

    started = await board.until("call_started")
    assert [message.status for message in session.sent] == [180, 200]
    assert (started.call.transport, started.call.agent) == ("opensips", "tester")
    assert started.call.caller == "sip:phone@127.0.0.1"


async def test_a_caller_asks_and_hears_the_answer(listening: Listening, opensips: FakeOpenSips):
    question = await CallerVoice()("what time is it")
    stt, tts = FakeTranscriber("what time is it"), FakeSynthesizer(word_ms=200)
    async with (
        board_at(opensips, listening, agents=[SILENT], stt=stt, tts=tts) as board,
        sound_caller() as caller,
    ):
        await board.subscribed()
        await caller.connect(opensips)
        await caller.speak(question)
        await caller.hear(100)

        spoken = await board.until("agent_speech_stopped")
        turn = await board.until("turn_ended")

    assert stt.heard_ms[0] > 400
    assert spoken.played_ms == 200
    assert (turn.heard, turn.interrupted) == ("Yes.", False)


async def test_our_offer_is_answered_in_the_ack(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.ring(opensips, body="")
    offered = await opensips.sent(session, 200)
    opensips.tell(session, "UPDATED", "ACK", body=caller.sdp)
    caller.begin(offered.body)

    await caller.hear(10)
    assert "PCMU/8000" in offered.body


async def test_an_offer_that_nobody_answers_is_given_up(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.ring(opensips, body="")

    await opensips.sent(session, "BYE")
    await opensips.forgotten(session)
    await board.host.drain(5)
    assert (board.host.live_calls, board.gateway.sessions) == (0, 0)


async def test_ten_callers_at_once_are_all_heard_and_let_go(
    listening: Listening, opensips: FakeOpenSips
):
    async with board_at(opensips, listening, max_calls=10) as board:
        await board.subscribed()
        sessions = [opensips.invite(sdp(4000 + 2 * n)) for n in range(10)]
        answers = [await opensips.sent(session, 200) for session in sessions]
        for session in sessions:
            opensips.hang_up(session)
        await board.host.drain(5)

        assert len({answer.body for answer in answers}) == 10
        assert (board.gateway.live_calls, board.gateway.sessions) == (0, 0)


async def test_calls_by_opensips_and_by_sip_are_paced_by_one_timer(
    listening: Listening, opensips: FakeOpenSips, caller: Caller
):
    wheel, house = Wheel(), FakeHouse(listening)
    line = LineOptions(codecs=(PCMU,))
    sip = TelephoneOptions(SipOptions(port=0, t1_s=T1_S), line, PORTS)
    gateway = OpenSipsOptions(mi_port=opensips.port, line=line, rtp_ports=PORTS, patience=QUICK)
    async with (
        house.host() as host,
        Telephone(sip, host, wheel) as telephone,
        OpenSips(gateway, host, wheel) as opened,
        phone_caller(telephone.endpoint.port) as other,
    ):
        await opened.subscription.is_held.wait()
        await caller.connect(opensips)
        await other.call()
        await asyncio.gather(caller.hear(10), other.hear(10))

        assert len(wheel) == 2
        other.leave()
    assert len(wheel) == 0


# ── which agent ──────────────────────────────────────────────────────────────────────────────


async def test_the_script_says_which_agent_answers_and_who_calls(
    listening: Listening, opensips: FakeOpenSips
):
    extra = json.dumps({"agent": "night", "caller": "sip:+4930123@trunk"})
    agents = [agent_with(name="tester"), agent_with(name="night")]
    async with board_at(opensips, listening, agents=agents) as board:
        await board.subscribed()
        opensips.invite(sdp(), to="tester", extra=extra)
        await board.until("agent_speech_started")

    started = await board.until("call_started")
    assert (started.call.agent, started.call.caller) == ("night", "sip:+4930123@trunk")


async def test_the_script_says_what_was_dialled_where_the_to_header_does_not(
    listening: Listening, opensips: FakeOpenSips
):
    async with board_at(opensips, listening, agents=[SILENT, agent_with(name="night")]) as board:
        await board.subscribed()
        opensips.invite(sdp(), to="4711", extra=json.dumps({"callee": "night"}))
        unknown = opensips.invite(sdp(), to="4711", extra=json.dumps({"callee": "nobody"}))
        await board.until("agent_speech_started")
        refusal = await opensips.sent(unknown, 404)

    assert (await board.until("call_started")).call.agent == "night"
    assert refusal.reason == "Not Found"


async def test_what_a_caller_claims_in_headers_is_not_believed(
    listening: Listening, opensips: FakeOpenSips
):
    claims = "X-Parley-Agent: night\r\nP-Asserted-Identity: <sip:boss@example.org>\r\n"
    agents = [agent_with(name="tester"), agent_with(name="night")]
    async with board_at(opensips, listening, agents=agents) as board:
        await board.subscribed()
        opensips.invite(sdp(), to="+4930123", lines=claims)
        await board.until("agent_speech_started")

    started = await board.until("call_started")
    assert (started.call.agent, started.call.caller) == ("tester", "sip:phone@127.0.0.1")


RULES = tuple(map(AgentRule.read, ("4711=night", "diverted:100=late", "*=day")))


@pytest.mark.parametrize(
    ("to", "extra", "answers"),
    [
        ("4711", {}, "night"),
        ("4712", {}, "day"),
        ("tester", {}, "day"),
        ("4712", {"callee": "4711"}, "night"),
        ("4711", {"agent": "tester"}, "tester"),
        ("4712", {"diverted": "sip:100@pbx"}, "late"),
    ],
)
async def test_rules_count_before_names_and_after_the_scripts_own_agent(
    to: str, extra: dict[str, str], answers: str, listening: Listening, opensips: FakeOpenSips
):
    agents = [agent_with(name=name, greeting="") for name in ("tester", "night", "day", "late")]
    claims = "Diversion: <sip:100@pbx>\r\n"
    async with board_at(opensips, listening, agents=agents, options={"rules": RULES}) as board:
        await board.subscribed()
        session = opensips.invite(sdp(), to=to, extra=json.dumps(extra), lines=claims)
        started = await board.until("media_started")
        opensips.hang_up(session)
        await board.until("call_ended")

    assert started.name == "media_started"
    assert (await board.until("call_started")).call.agent == answers


async def test_a_script_that_says_nothing_readable_gets_the_usual_agent(
    board: Board, opensips: FakeOpenSips
):
    sessions = [
        opensips.invite(sdp(4000 + 2 * n), extra=extra)
        for n, extra in enumerate(("no JSON", "[]", '{"agent": 5}', "[" * 5000))
    ]
    answers = [await opensips.sent(session, 200) for session in sessions]
    await board.until("agent_speech_started")

    assert len(answers) == 4
    assert (await board.until("call_started")).call.agent == "tester"


# ── leaving ──────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_who_hangs_up_leaves_nothing_behind(
    board: Board, caller: Caller, opensips: FakeOpenSips
):
    session = await caller.connect(opensips)
    await caller.hear(10)
    opensips.hang_up(session)

    assert (await board.until("call_ended")).reason == "caller"
    assert await board.is_free()
    assert "ua_session_terminate" not in opensips.names()


async def test_the_agents_last_word_is_heard_before_its_goodbye(
    listening: Listening, opensips: FakeOpenSips
):
    agent, tts = agent_with(greeting="one two three"), FakeSynthesizer(word_ms=300)
    async with (
        board_at(opensips, listening, agents=[agent], tts=tts) as board,
        sound_caller() as caller,
    ):
        await board.subscribed()
        session = await caller.connect(opensips)
        await caller.hear(10)
        (await board.control()).end("agent")
        await opensips.sent(session, "BYE")
        heard_ms = caller.audible_ms

        assert (await board.until("call_ended")).reason == "agent"
        assert heard_ms >= 880
        assert await board.is_free()


async def test_a_line_that_has_fallen_silent_is_given_up(
    listening: Listening, opensips: FakeOpenSips
):
    line = LineOptions(codecs=(PCMU,), silence_limit_s=0.3)
    async with (
        board_at(opensips, listening, agents=[SILENT], options={"line": line}) as board,
        sound_caller() as caller,
    ):
        await board.subscribed()
        session = await caller.connect(opensips)
        caller.is_muted = True

        await opensips.sent(session, "BYE")
        assert (await board.until("call_ended")).reason == "error"


async def test_a_house_that_closes_says_goodbye_to_all(
    listening: Listening, opensips: FakeOpenSips
):
    slow = Waits()
    async with board_at(opensips, listening, admission=slow) as board:
        await board.subscribed()
        session = opensips.invite(sdp())
        await slow.asked.wait()

    assert (await opensips.sent(session, 503)).reason == "Service Unavailable"
    assert (opensips.sessions, opensips.subscribers) == ({}, {})


async def test_a_call_that_has_only_begun_holds_no_place_when_all_is_closed(
    listening: Listening, opensips: FakeOpenSips
):
    agent = agent_with(greeting="a long greeting", goodbye="a long goodbye")
    tts = FakeSynthesizer(word_ms=2000)
    async with board_at(opensips, listening, agents=[agent], tts=tts) as board:
        await board.subscribed()
        session = opensips.invite(sdp())
        await opensips.sent(session, 200)
        await board.gateway.__aexit__(None, None, None)
        # Nobody waits for a goodbye that nobody can hear.
        async with asyncio.timeout(GOODBYE_LIMIT_S):
            ended = await board.until("call_ended")
        assert await board.is_free()

    assert ended.reason == "drain"
    assert [message.method for message in session.sent][-1] == "BYE"


# ── badness ──────────────────────────────────────────────────────────────────────────────────


async def test_bad_events_end_nobodys_call(board: Board, caller: Caller, opensips: FakeOpenSips):
    session = await caller.connect(opensips)
    await caller.hear(10)
    for data in (b"", b"\xff" * 900, b"[" * 60_000, b'{"method": "E_UA_SESSION", "params": 1}'):
        opensips.shout(data)
    stranger = Session("B2B.999.1.1.1", "nobody")
    for kind, method in (("UPDATED", "INVITE"), ("ANSWERED", "BYE"), ("TERMINATED", "BYE")):
        opensips.tell(stranger, kind, method, body="x" * 60_000)
    opensips.tell(session, "NEW", "INVITE", body=sdp(formats="18"))
    opensips.tell(session, "NONSENSE", "", status="many")
    opensips.tell(session, "UPDATED", "INVITE", body="v=0\r\nnonsense")
    await opensips.sent(session, 488)
    heard = len(caller.sound.packets)

    await caller.until(lambda: len(caller.sound.packets) > heard + 10)
    assert [said.status for said in session.sent] == [180, 200, 488]
    assert board.gateway.sessions == 1
