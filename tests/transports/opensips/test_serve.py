"""``parley serve`` with OpenSIPS beside it, by the names that its own connector has."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.server import running_server
from tests.transports.opensips.board import sound_caller
from tests.transports.opensips.fake_opensips import LOOPBACK, fake_opensips

pytestmark = pytest.mark.timeout(240)

NAMES = {
    "MI_IP": LOOPBACK,
    "EVENT_IP": LOOPBACK,
    "EVENT_PORT": "0",
    "RTP_MIN_PORT": "35000",
    "RTP_MAX_PORT": "35003",
    "RTP_BIND_IP": "0.0.0.0",
    "RTP_IP": LOOPBACK,
    "PARLEY_DRAIN_S": "1",
}


async def test_a_server_takes_calls_as_soon_as_opensips_is_there(
    tmp_path: Path, unused_udp_port: int
):
    environment = {**NAMES, "MI_PORT": str(unused_udp_port)}
    async with running_server(tmp_path, environment) as server, httpx.AsyncClient() as web:
        await server.logged("opensips_unreachable")
        ill = (await web.get(f"{server.url}/health")).json()
        async with fake_opensips(unused_udp_port) as opensips, sound_caller() as caller:
            await server.logged("opensips_subscribed")
            well = (await web.get(f"{server.url}/health/opensips")).json()
            session = await caller.connect(opensips, to="receptionist")
            await caller.hear(300)
            server.process.send_signal(signal.SIGTERM)
            await opensips.sent(session, "BYE")
            code = await server.stop()
            answer = session.sent[1].body

    assert (ill["status"], ill["checks"]["opensips"]) == ("degraded", False)
    assert well["status"] == "healthy"
    assert f"c=IN IP4 {LOOPBACK}" in answer
    assert any(f"m=audio {port} " in answer for port in (35_000, 35_002))
    assert (code, opensips.subscribers) == (0, {})
