"""Parley or OpenSIPS ends without a word and comes back: nobody is left in a dead call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parley.session.turns import Listening
from parley.testing.speech import FakeSynthesizer
from parley.transports.opensips.options import Patience
from tests.e2e.server import running_server
from tests.opensips_real.endpoint import Endpoint, comes_true, desk_at
from tests.opensips_real.phones import routed_caller
from tests.session.fakes import agent_with
from tests.transports.sip.phone import Seen

pytestmark = pytest.mark.timeout(240)

# The subscription is renewed every ten seconds; what it finds is looked at twice.
FOUND_WITHIN_S = 30
NAMES = {
    "MI_IP": "127.0.0.1",
    "EVENT_IP": "127.0.0.1",
    "RTP_MIN_PORT": "35000",
    "RTP_MAX_PORT": "35099",
    "RTP_IP": "127.0.0.1",
    "PARLEY_DRAIN_S": "1",
}


async def test_a_killed_parley_comes_back_hangs_up_on_its_last_lifes_caller_and_takes_the_next(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    names = {**NAMES, "MI_PORT": str(endpoint.mi_port)}
    async with (
        routed_caller(endpoint.port, "receptionist") as caller,
        routed_caller(endpoint.port, "receptionist") as next_one,
    ):
        async with running_server(tmp_path, names) as server:
            await server.logged("opensips_subscribed")
            await caller.call()
            await caller.hear(300)
            server.process.kill()
            await server.process.wait()
        left = await endpoint.sessions()
        async with running_server(tmp_path, names) as server:
            await server.logged("opensips_orphans_ended")
            await caller.hear_goodbye()
            await next_one.call()
            await next_one.hear(300)
            next_one.leave()
            await comes_true(endpoint.is_empty)

    assert len(left) == 1


async def test_a_parley_that_is_told_to_stop_says_goodbye_and_is_told_of_no_more(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    names = {**NAMES, "MI_PORT": str(endpoint.mi_port)}
    async with routed_caller(endpoint.port, "receptionist") as caller:
        async with running_server(tmp_path, names) as server:
            await server.logged("opensips_subscribed")
            await caller.call()
            await caller.hear(300)
            code = await server.stop()
        await caller.hear_goodbye()

        await comes_true(endpoint.is_empty)
        await comes_true(endpoint.tells_nobody)

    assert code == 0


async def test_a_call_that_outlasts_many_looks_at_the_sessions_is_nobodys_stray(
    endpoint: Endpoint, listening: Listening
) -> None:
    often = Patience(refresh_s=0.3, second_look_s=0.1)
    talker, tts = agent_with(name="demo", greeting="one two three"), FakeSynthesizer(word_ms=1000)
    async with (
        desk_at(endpoint, listening, agents=[talker], tts=tts, patience=often) as desk,
        routed_caller(endpoint.port) as caller,
    ):
        await caller.call()
        await caller.hear(2500)
        caller.leave()

        assert (await desk.until("call_ended")).reason == "caller"
        await desk.is_free()


async def test_opensips_restarts_and_the_next_call_is_answered(
    endpoint: Endpoint, listening: Listening
) -> None:
    async with desk_at(endpoint, listening) as desk:
        async with routed_caller(endpoint.port) as caller:
            await caller.call()
            await caller.hear(10)
            caller.leave()
            await desk.until("call_ended")
        await endpoint.opensips.stop()
        await endpoint.opensips.start()
        await comes_true(endpoint.is_subscribed)
        async with routed_caller(endpoint.port) as caller:
            await caller.call()
            await caller.hear(10)
            caller.leave()
            await desk.until("call_ended", 2)
        await desk.is_free()


async def test_a_call_that_nobody_was_told_of_is_refused_once_we_are_subscribed_again(
    endpoint: Endpoint, listening: Listening
) -> None:
    async with desk_at(endpoint, listening) as desk, routed_caller(endpoint.port) as caller:
        await endpoint.opensips.stop()
        await endpoint.opensips.start()
        caller.phone.say(caller.phone.invite(body=caller.sdp))
        async with asyncio.timeout(FOUND_WITHIN_S):
            while (answer := Seen(await caller.phone.inbox.get())).status < 200:
                continue
        await desk.is_free()

    assert (answer.status, desk.events) == (503, [])


async def test_opensips_is_away_for_a_while_and_is_waited_for(
    endpoint: Endpoint, listening: Listening
) -> None:
    async with desk_at(endpoint, listening) as desk, routed_caller(endpoint.port) as caller:
        await endpoint.opensips.stop()
        await desk.gateway.subscription.is_missing.wait()
        ill = desk.gateway.status()
        await endpoint.opensips.start()
        await desk.subscribed()
        await caller.call()
        await caller.hear(10)
        caller.leave()
        await desk.until("call_ended")
        await desk.is_free()

    assert (ill.ok, desk.count("call_started")) == (False, 1)
