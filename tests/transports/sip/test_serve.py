"""``parley serve`` with a telephone: callers reach an agent until the server is told to stop."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.server import begin_server, running_server
from tests.transports.sip.bare_caller import caller_at, free_port
from tests.transports.sip.caller import phone_caller

pytestmark = pytest.mark.timeout(240)

TELEPHONE = {"PARLEY_SIP": "true", "PARLEY_SIP_PORT": "0", "PARLEY_DRAIN_S": "1"}


async def test_a_server_that_stops_lets_its_caller_hear_goodbye_and_takes_no_other(tmp_path: Path):
    async with running_server(tmp_path, TELEPHONE) as server:
        line = await server.logged("Telephones call")
        address = re.search(r"sip:127\.0\.0\.1:(\d+)", line)
        assert address is not None
        port = int(address[1])
        async with phone_caller(port) as caller, phone_caller(port) as late:
            answer = await caller.call("receptionist")
            await caller.hear(300)
            server.process.send_signal(signal.SIGTERM)
            await server.logged("draining")
            refusal = await late.refused("receptionist")
            await server.logged("call_ending", "reason=drain")
            goodbye = await caller.hear_goodbye()
            code = await server.process.wait()

    assert answer.status == 200
    assert (refusal.status, bool(refusal.header("retry-after"))) == (503, True)
    assert "drain" in goodbye.header("reason")
    assert code == 0


async def test_sound_alone_reaches_the_default_agent_where_a_port_is_set_for_it(tmp_path: Path):
    port = free_port()
    async with running_server(tmp_path, {"RTP_PORT": str(port), "PARLEY_DRAIN_S": "0"}) as server:
        await server.logged(f"rtp://127.0.0.1:{port}")
        async with caller_at(port) as caller:
            await caller.hear(300)
            code = await server.stop()

    assert code == 0


async def test_a_telephone_that_everybody_could_reach_is_refused_at_the_start(tmp_path: Path):
    environment = {**TELEPHONE, "PARLEY_SIP_HOST": "0.0.0.0", "LOG_LEVEL": "WARNING"}

    process = await begin_server(tmp_path, environment)
    _, said = await process.communicate()

    assert process.returncode not in (0, None)
    assert b"PARLEY_SIP_PEERS" in said
    assert b"Traceback" not in said


async def test_a_rule_for_a_tenant_that_nobody_made_is_refused_at_the_start(tmp_path: Path):
    environment = {
        **TELEPHONE,
        "PARLEY_SIP_AGENTS": "900=acme:receptionist",
        "LOG_LEVEL": "WARNING",
    }

    process = await begin_server(tmp_path, environment)
    _, said = await process.communicate()

    assert process.returncode not in (0, None)
    assert b"in 900=acme:receptionist there is no tenant 'acme'. Correct it" in said
    assert b"Traceback" not in said


def test_without_a_telephone_none_of_it_is_loaded():
    script = "import sys, parley.app; print([m for m in sys.modules if '.sip' in m])"

    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"
