"""Calls through endpoint.cfg: OpenSIPS does the signalling, an agent answers by its interface."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.caller_voice import CallerVoice
from tests.opensips_real.builds import Build
from tests.opensips_real.endpoint import (
    DEMO,
    MUTE,
    Desk,
    Endpoint,
    desk_at,
    running_endpoint,
)
from tests.opensips_real.phones import routed_caller
from tests.session.fakes import agent_with
from tests.transports.opensips.board import Spent, Waits
from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.rtp.far_end import sdp
from tests.transports.sip.sipp import Sipp

AT_ONCE = 20


def telling_who_was_dialled(script: str) -> str:
    """The alternative line in force that endpoint.cfg has in a comment."""
    (line,) = re.findall(r"^\t#\s+(ua_session_server_init\(.+\))$", script, re.M)
    return script.replace('ua_session_server_init($var(key), "arhb")', line, 1)


@pytest.fixture
async def desk(endpoint: Endpoint, listening: Listening) -> AsyncIterator[Desk]:
    async with desk_at(endpoint, listening) as desk:
        yield desk


@pytest.fixture
async def caller(endpoint: Endpoint) -> AsyncIterator[PhoneCaller]:
    async with routed_caller(endpoint.port) as caller:
        yield caller


# ── talking ──────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_rings_is_answered_asks_and_hears_the_answer(
    endpoint: Endpoint, listening: Listening
) -> None:
    question = await CallerVoice()("what time is it")
    stt, tts = FakeTranscriber("what time is it"), FakeSynthesizer(word_ms=200)
    async with (
        desk_at(endpoint, listening, agents=[MUTE], stt=stt, tts=tts) as desk,
        routed_caller(endpoint.port) as caller,
    ):
        caller.phone.say(caller.phone.invite(body=caller.sdp))
        ringing = await caller.phone.hear(180)
        answer = await caller.phone.hear(200)
        caller.phone.far_tag = answer.to_tag
        caller.phone.acknowledge(answer)
        caller.begin(answer.body)
        await caller.speak(question)
        await caller.hear(100)
        turn = await desk.until("turn_ended")
        started = await desk.until("call_started")
        caller.leave()
        await desk.is_free()

    assert (ringing.status, turn.heard) == (180, "Yes.")
    assert (started.call.transport, started.call.agent) == ("opensips", "demo")
    assert started.call.caller == "sip:phone@127.0.0.1"


async def test_an_offer_in_the_ack_is_as_good_as_one_in_the_invite(
    desk: Desk, caller: PhoneCaller
) -> None:
    caller.phone.say(caller.phone.invite(body=""))
    offered = await caller.phone.hear(200)
    caller.phone.far_tag = offered.to_tag
    caller.phone.acknowledge(offered, caller.sdp)
    caller.begin(offered.body)

    await caller.hear(10)
    assert "PCMU/8000" in offered.body
    caller.leave()
    await desk.is_free()


async def test_who_was_dialled_is_called_where_the_script_says_so(
    build: Build,
    listening: Listening,
    tmp_path: Path,
    free_port: Callable[[], int],
) -> None:
    if build.series < (3, 6):
        pytest.skip("ua_session_server_init takes no third argument before 3.6")
    ports = free_port(), free_port()
    agents = [DEMO, agent_with(name="dialled")]
    async with (
        running_endpoint(build, tmp_path / "dialled", ports, telling_who_was_dialled) as endpoint,
        desk_at(endpoint, listening, agents=agents) as desk,
        routed_caller(endpoint.port) as caller,
    ):
        await caller.call("dialled")
        caller.leave()
        await desk.until("call_ended")
        await desk.is_free()

    assert (await desk.until("call_started")).call.agent == "dialled"


async def test_twenty_calls_at_once_by_sipp(
    endpoint: Endpoint, listening: Listening, tmp_path: Path
) -> None:
    many = ("-m", str(AT_ONCE), "-l", str(AT_ONCE), "-r", "10", "-d", "1000")
    async with desk_at(endpoint, listening, agents=[MUTE], max_calls=AT_ONCE) as desk:
        await Sipp(tmp_path).call(endpoint.port, "uac", *many)
        await desk.until("call_ended", AT_ONCE)
        await desk.is_free()

    ends = [event.reason for event in desk.events if event.name == "call_ended"]
    assert ends == ["caller"] * AT_ONCE


# ── leaving ──────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_who_hangs_up_leaves_nothing_behind(desk: Desk, caller: PhoneCaller) -> None:
    await caller.call()
    await caller.hear(10)
    caller.leave()

    assert (await caller.phone.hear(200)).header("cseq").endswith("BYE")
    assert (await desk.until("call_ended")).reason == "caller"
    await desk.is_free()


async def test_the_agents_last_word_is_heard_before_its_goodbye(
    endpoint: Endpoint, listening: Listening
) -> None:
    agent = agent_with(name="demo", greeting="one two three")
    tts = FakeSynthesizer(word_ms=300)
    async with (
        desk_at(endpoint, listening, agents=[agent], tts=tts) as desk,
        routed_caller(endpoint.port) as caller,
    ):
        await caller.call()
        await caller.hear(10)
        (await desk.control()).end("agent")
        await caller.hear_goodbye()
        heard_ms = caller.audible_ms

        assert (await desk.until("call_ended")).reason == "agent"
        assert heard_ms >= 880
        await desk.is_free()


async def test_sipp_is_hung_up_on(endpoint: Endpoint, desk: Desk, tmp_path: Path) -> None:
    calling = asyncio.create_task(Sipp(tmp_path).call(endpoint.port, "our_goodbye"))
    (await desk.control()).end("agent")
    await calling

    await desk.is_free()
    assert desk.count("call_ended") == 1


# ── giving up, and being refused ─────────────────────────────────────────────────────────────


async def test_a_caller_who_gives_up_gets_487_and_takes_no_place(
    endpoint: Endpoint, listening: Listening, caller: PhoneCaller
) -> None:
    slow = Waits()
    async with desk_at(endpoint, listening, admission=slow) as desk:
        caller.phone.say(caller.phone.invite(body=caller.sdp, branch="z9hG4bKgone"))
        await slow.asked.wait()
        caller.phone.say(caller.phone.compose("CANCEL", branch="z9hG4bKgone"))
        statuses = {(await caller.phone.hear(200, 487)).header("cseq") for _ in range(2)}
        caller.phone.say(caller.phone.compose("ACK", branch="z9hG4bKgone"))
        slow.go.set()
        await desk.is_free()

    assert statuses == {"1 CANCEL", "1 INVITE"}
    assert desk.events == []


@pytest.mark.parametrize("status", [404, 488])
async def test_a_call_that_can_not_be_is_refused_with_its_reason_and_forgotten(
    desk: Desk, caller: PhoneCaller, status: int
) -> None:
    body = sdp(formats="18") if status == 488 else caller.sdp
    invite = caller.phone.invite(body=body)
    name = "nobody" if status == 404 else "demo"
    caller.phone.say(invite.replace("To: <sip:demo@", f"To: <sip:{name}@"))

    assert (await caller.phone.hear(404, 486, 488, 500, 503)).status == status
    await desk.is_free()


async def test_a_full_house_says_when_to_try_again(
    endpoint: Endpoint, listening: Listening
) -> None:
    async with (
        desk_at(endpoint, listening, agents=[DEMO], max_calls=1) as desk,
        routed_caller(endpoint.port) as caller,
        routed_caller(endpoint.port) as late,
    ):
        await caller.call()
        refusal = await late.refused()
        caller.leave()
        await desk.is_free()

    assert refusal.status == 503
    assert int(refusal.header("retry-after")) > 0


async def test_a_spent_quota_is_busy(
    endpoint: Endpoint, listening: Listening, caller: PhoneCaller
) -> None:
    async with desk_at(endpoint, listening, admission=Spent()) as desk:
        refusal = await caller.refused()
        await desk.is_free()

    assert refusal.status == 486
    assert "spent" in refusal.header("reason")
