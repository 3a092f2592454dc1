"""proxy.cfg before whole Parley processes: one that leaves, and endpoints that lost theirs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from parley.session.turns import Listening
from tests.e2e.server import running_server
from tests.opensips_real.builds import Build
from tests.opensips_real.endpoint import desk_at, running_endpoint
from tests.opensips_real.phones import one_call, routed_caller
from tests.opensips_real.proxy import node_at, running_proxy
from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.phone import Seen

pytestmark = pytest.mark.timeout(240)

# proxy.cfg waits so long for an endpoint whose Parley is gone (fr_inv_timeout).
RINGS_FOR_S = 20


async def called(caller: PhoneCaller) -> None:
    """Call, and wait as long as a caller may have to."""
    caller.phone.say(caller.phone.invite(body=caller.sdp))
    async with asyncio.timeout(RINGS_FOR_S + 10):
        while (answer := Seen(await caller.phone.inbox.get())).status != 200:
            assert answer.status < 200, answer.start
    caller.phone.far_tag = answer.to_tag
    caller.phone.acknowledge(answer)
    caller.begin(answer.body)
    await caller.hear(10)


async def test_a_node_that_is_told_to_stop_keeps_its_call_and_the_next_goes_elsewhere(
    build: Build, listening: Listening, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port, *nodes = [free_port() for _ in range(3)]
    names = {"PARLEY_SIP": "true", "PARLEY_SIP_PORT": str(nodes[0]), "PARLEY_DRAIN_S": "30"}
    async with (
        running_server(tmp_path, names) as server,
        node_at(nodes[1], listening) as other,
        running_proxy(build, tmp_path / "proxy", port, nodes),
        routed_caller(port) as one,
        routed_caller(port) as two,
    ):
        for caller in (one, two):
            await caller.call("receptionist")
        assert server.process.returncode is None, "\n".join(server.log)
        server.process.send_signal(signal.SIGTERM)
        await server.logged("draining")
        await one_call(port)
        for caller in (one, two):
            assert (await caller.ask("OPTIONS")).status == 200
            caller.leave()
            assert (await caller.phone.hear(200)).header("cseq").endswith("BYE")
        code = await server.process.wait()
        assert await other.is_free()

        # One of the first two, and the third.
        assert (other.count("call_started"), code) == (2, 0)


async def test_a_call_goes_on_to_the_next_endpoint_where_one_has_lost_its_parley(
    build: Build, listening: Listening, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port, *ports = [free_port() for _ in range(5)]
    async with (
        running_endpoint(build, tmp_path / "lost", (ports[0], ports[1])),
        running_endpoint(build, tmp_path / "well", (ports[2], ports[3])) as well,
        running_proxy(build, tmp_path / "proxy", port, [ports[0], ports[2]]),
        desk_at(well, listening) as desk,
        routed_caller(port) as one,
        routed_caller(port) as other,
    ):
        await asyncio.gather(called(one), called(other))
        for caller in (one, other):
            caller.leave()
            assert (await caller.phone.hear(200)).header("cseq").endswith("BYE")
        await desk.is_free()

    assert desk.count("call_started") == 2


async def test_a_call_that_a_restarted_endpoint_can_tell_nobody_of_goes_on_to_the_next(
    build: Build, listening: Listening, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port, *ports = [free_port() for _ in range(5)]
    async with (
        running_endpoint(build, tmp_path / "restarted", (ports[0], ports[1])) as restarted,
        running_endpoint(build, tmp_path / "well", (ports[2], ports[3])) as well,
        running_proxy(build, tmp_path / "proxy", port, [ports[0], ports[2]]),
        desk_at(well, listening) as desk,
        desk_at(restarted, listening) as passed_over,
        routed_caller(port) as one,
        routed_caller(port) as other,
    ):
        await restarted.opensips.stop()
        await restarted.opensips.start()
        await asyncio.gather(called(one), called(other))
        for caller in (one, other):
            caller.leave()
            assert (await caller.phone.hear(200)).header("cseq").endswith("BYE")
        await desk.is_free()
        await passed_over.is_free()

    assert (desk.count("call_started"), passed_over.events) == (2, [])
