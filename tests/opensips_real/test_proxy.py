"""Calls through proxy.cfg to two nodes: shared out, kept together, saved when one is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from parley.session.turns import Listening
from tests.opensips_real.builds import Build
from tests.opensips_real.phones import one_call, routed_caller
from tests.opensips_real.proxy import node_at, running_proxy
from tests.transports.opensips.board import Waits
from tests.transports.sip.phone import SDP_LINE
from tests.transports.sip.rtp.far_end import EVENTS, sdp
from tests.transports.sip.sipp import Sipp
from tests.transports.sip.switchboard import Switchboard

pytestmark = pytest.mark.timeout(120)

# A probe every ten seconds (ds_ping_interval).
PROBED_WITHIN_S = 40

Nodes = tuple[int, int]


@pytest.fixture
def nodes(free_port: Callable[[], int]) -> Nodes:
    """The ports where Parley may be."""
    return free_port(), free_port()


@pytest.fixture
async def proxy(
    build: Build, tmp_path: Path, nodes: Nodes, free_port: Callable[[], int]
) -> AsyncIterator[int]:
    """Its port."""
    async with running_proxy(build, tmp_path / "proxy", free_port(), nodes) as proxy:
        yield proxy.port


@pytest.fixture
async def first(nodes: Nodes, listening: Listening) -> AsyncIterator[Switchboard]:
    async with node_at(nodes[0], listening) as board:
        yield board


@pytest.fixture
async def second(nodes: Nodes, listening: Listening) -> AsyncIterator[Switchboard]:
    async with node_at(nodes[1], listening) as board:
        yield board


# ── two nodes ────────────────────────────────────────────────────────────────────────────────


async def test_calls_by_sipp_are_shared_out_in_turn(
    proxy: int, first: Switchboard, second: Switchboard, tmp_path: Path
) -> None:
    await Sipp(tmp_path).call(proxy, "proxied", "-m", "8", "-l", "4", "-d", "500")
    for node in (first, second):
        await node.until("call_ended", 4)
        assert await node.is_free()

    assert (first.count("call_started"), second.count("call_started")) == (4, 4)
    ends = [e.reason for e in (*first.events, *second.events) if e.name == "call_ended"]
    assert ends == ["caller"] * 8


async def test_what_is_asked_within_a_call_reaches_the_node_that_has_it(
    proxy: int, first: Switchboard, second: Switchboard
) -> None:
    async with routed_caller(proxy) as one, routed_caller(proxy) as other:
        await one.call()
        await other.call()
        # Any other node would answer 481.
        for caller, direction in ((one, "sendonly"), (other, "sendonly"), (one, "sendrecv")):
            assert (await caller.offer(direction)).status == 200
        for caller in (one, other):
            caller.leave()
            assert (await caller.phone.hear(200, 481)).status == 200

    for node in (first, second):
        assert await node.is_free()
        assert (node.count("call_started"), node.count("call_held")) == (1, 1)


async def test_an_agent_hangs_up_holds_and_is_answered_through_the_proxy(
    proxy: int, nodes: Nodes, listening: Listening
) -> None:
    async with node_at(nodes[0], listening) as node, routed_caller(proxy) as caller:
        await caller.call()
        control = await node.control()
        holding = asyncio.create_task(control.hold())
        asked = await caller.phone.hear("INVITE")
        body = sdp(caller.sound.port, formats="0 96", lines=(*EVENTS, "a=recvonly"))
        caller.phone.reply(asked, "200 OK", SDP_LINE, body)
        await caller.phone.hear("ACK")
        await holding
        control.end("agent")
        await caller.hear_goodbye()

        assert (await node.until("call_ended")).reason == "agent"
        assert await node.is_free()


async def test_a_caller_who_gives_up_gets_487_and_takes_no_place(
    proxy: int, nodes: Nodes, listening: Listening
) -> None:
    slow = Waits()
    async with (
        node_at(nodes[0], listening, admission=slow) as first,
        node_at(nodes[1], listening, admission=slow) as second,
        routed_caller(proxy) as caller,
    ):
        caller.phone.say(caller.phone.invite(body=caller.sdp, branch="z9hG4bKgone"))
        await slow.asked.wait()
        caller.phone.say(caller.phone.compose("CANCEL", branch="z9hG4bKgone"))
        statuses = {(await caller.phone.hear(200, 487)).header("cseq") for _ in range(2)}
        caller.phone.say(caller.phone.compose("ACK", branch="z9hG4bKgone"))
        slow.go.set()
        for node in (first, second):
            await node.host.drain(5)

        assert statuses == {"1 CANCEL", "1 INVITE"}
        assert (first.events, second.events) == ([], [])


async def test_a_caller_can_not_choose_what_only_a_listed_peer_may(
    proxy: int, first: Switchboard, second: Switchboard
) -> None:
    claims = "X-Parley-Agent: demo\r\nP-Asserted-Identity: <sip:boss@127.0.0.1>\r\n"
    async with routed_caller(proxy) as caller:
        await caller.call(extra=claims)
        caller.leave()
        await caller.phone.hear(200)

    (node,) = [node for node in (first, second) if node.count("call_started")]
    assert await node.is_free()
    started = await node.until("call_started")
    assert (started.call.agent, started.call.caller) == ("tester", "sip:phone@127.0.0.1")


# ── one node, or none ────────────────────────────────────────────────────────────────────────


async def test_calls_go_to_the_other_node_where_one_is_dead_and_to_both_when_it_is_back(
    proxy: int, nodes: Nodes, listening: Listening
) -> None:
    async with node_at(nodes[0], listening) as first:
        for _ in range(4):
            await one_call(proxy)
        alone = first.count("call_started")
        async with node_at(nodes[1], listening) as second, asyncio.timeout(PROBED_WITHIN_S):
            while not second.events:
                await one_call(proxy)
            is_back = second.count("call_started") == 1

    assert (alone, is_back) == (4, True)


async def test_a_call_goes_on_to_the_next_node_where_one_is_full(
    proxy: int, nodes: Nodes, listening: Listening
) -> None:
    async with (
        node_at(nodes[0], listening, max_calls=1) as first,
        node_at(nodes[1], listening, max_calls=2) as second,
        routed_caller(proxy) as one,
        routed_caller(proxy) as two,
        routed_caller(proxy) as three,
        routed_caller(proxy) as four,
    ):
        for caller in (one, two, three):
            await caller.call()
        refusal = await four.refused()
        for caller in (one, two, three):
            caller.leave()
            await caller.phone.hear(200)

        assert (first.count("call_started"), second.count("call_started")) == (1, 2)
    assert (refusal.status, refusal.start) == (503, "SIP/2.0 503 No Agent Is Free")


async def test_where_no_node_is_a_caller_is_told_so(proxy: int) -> None:
    answers: list[str] = []
    for _ in range(2):
        async with routed_caller(proxy) as caller:
            answers.append((await caller.refused()).start)

    # The first waits for both nodes; then none is believed to be there.
    assert answers == ["SIP/2.0 503 No Agent Is Free", "SIP/2.0 503 No Agent Is There"]


async def test_an_answer_is_an_answer_and_no_other_node_is_asked(
    proxy: int, first: Switchboard, second: Switchboard
) -> None:
    async with routed_caller(proxy) as caller:
        refusal = await caller.refused("nobody")

    assert refusal.status == 404
    assert (first.events, second.events) == ([], [])
