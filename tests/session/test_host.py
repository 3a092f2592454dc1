"""The host counts calls, never over its limit, and lets go of all of them."""

import asyncio

import pytest

from parley.core.call import CallInfo
from parley.core.errors import CallLimitReached, Draining, NotFound
from parley.session.turns import Listening
from parley.testing.transport import FakeTransport
from tests.session.fakes import AGENT, FakeHouse, LiveCall, agent_with, start_call


async def test_the_limit_holds_and_a_returned_place_can_be_taken(house: FakeHouse):
    async with house.host(max_calls=2) as host:
        first = host.admit(CallInfo(agent="", transport="fake"))
        host.admit(CallInfo(agent="", transport="fake"))

        with pytest.raises(CallLimitReached) as refusal:
            host.admit(CallInfo(agent="", transport="fake"))
        first.release()
        host.admit(CallInfo(agent="", transport="fake"))

        assert refusal.value.retry_after_s > 0
        assert host.live_calls == 2


async def test_a_call_finds_the_agents_of_its_own_tenant_and_no_others(house: FakeHouse):
    house.agents = [AGENT, agent_with(name="vault", tenant="acme")]
    async with house.host() as host:
        place = host.admit(CallInfo(agent="vault", transport="fake", tenant="acme"))
        with pytest.raises(NotFound):
            host.admit(CallInfo(agent="vault", transport="fake", tenant="bee"))

        assert place.agent.tenant == "acme"
        assert host.live_calls == 1
        place.release()


async def test_an_unknown_agent_takes_no_place(house: FakeHouse):
    async with house.host() as host:
        with pytest.raises(NotFound):
            host.admit(CallInfo(agent="nobody", transport="fake"))

        assert host.live_calls == 0


async def test_a_draining_host_lets_live_calls_finish_and_takes_no_new_ones(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        draining = asyncio.create_task(host.drain(30))
        await asyncio.sleep(0)
        with pytest.raises(Draining):
            host.admit(CallInfo(agent="", transport="fake"))
        assert not host.is_accepting
        call.transport.leave()
        await draining

        assert call.transport.ended_with == "caller"


async def test_a_drain_that_runs_out_of_time_ends_the_calls(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        await host.drain(0)

        assert call.transport.ended_with == "drain"
        assert host.live_calls == 0


class NeverConnected(FakeTransport):
    """A caller whose network never comes about."""

    async def connected(self) -> None:
        await asyncio.Event().wait()


async def test_a_caller_who_never_connected_is_told_no_goodbye(listening: Listening):
    house = FakeHouse(listening, agents=[agent_with(greeting="", goodbye="Goodbye now.")])
    async with house.host() as host:
        transport = NeverConnected()
        control = host.start(host.admit(CallInfo(agent="", transport="fake")), transport)
        call = LiveCall(transport, control)
        await call.until("call_started")
        control.end("drain")
        await call.until("call_ended")

    assert "agent_speech_started" not in call.names()
    assert "agent_text" not in call.names()
    assert transport.ended_with == "drain"
