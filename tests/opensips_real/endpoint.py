"""endpoint.cfg in a real OpenSIPS, and Parley's gateway beside it with a fake house behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parley.session.turns import Listening
from parley.transports.opensips.gateway import OpenSips
from parley.transports.opensips.interface import ManagementInterface
from parley.transports.opensips.options import OpenSipsOptions, Patience
from parley.transports.sip.rtp.codecs import G722, PCMA, PCMU
from parley.transports.sip.rtp.line import LineOptions
from parley.transports.wheel import Wheel
from tests.opensips_real.builds import Build
from tests.opensips_real.running import RealOpenSips, deployed, running_opensips
from tests.session.fakes import FakeHouse, agent_with
from tests.transports.sip.listening_board import ListeningBoard, Notes, no_task_left

PORTS = (34_000, 34_999)
PATIENCE_S = 15
LOOK_S = 0.05
USUAL = Patience()
# Whom the test telephones call.
DEMO = agent_with(name="demo")
MUTE = agent_with(name="demo", greeting="")


class Endpoint:
    """``port`` is where telephones call, ``mi_port`` its management interface."""

    def __init__(self, opensips: RealOpenSips, mi_port: int) -> None:
        self.opensips = opensips
        self.port = opensips.port
        self.mi_port = mi_port

    async def ask(self, command: str, **given: object) -> Any:
        interface = ManagementInterface("127.0.0.1", self.mi_port)
        try:
            return await interface.ask(command, given)
        finally:
            interface.close()

    async def sessions(self) -> list[Any]:
        """What it keeps in memory."""
        return await self.ask("ua_session_list")

    async def is_empty(self) -> bool:
        return not await self.sessions()

    async def is_subscribed(self) -> bool:
        """Whether anybody is told of calls."""
        listed = await self.ask("subscribers_list", event="E_UA_SESSION")
        return "udp:" in str(listed)

    async def tells_nobody(self) -> bool:
        return not await self.is_subscribed()


@asynccontextmanager
async def running_endpoint(
    build: Build,
    folder: Path,
    ports: tuple[int, int],
    script: Callable[[str], str] = str,
) -> AsyncIterator[Endpoint]:
    """``script`` may put one of the file's alternative lines in force."""
    port, mi_port = ports
    changes = {
        "socket=": f"socket=udp:127.0.0.1:{port}",
        'modparam("mi_datagram", "socket_name"': (
            f'modparam("mi_datagram", "socket_name", "udp:127.0.0.1:{mi_port}")'
        ),
    }
    configuration = script(deployed("endpoint.cfg", build, changes))
    async with running_opensips(build, folder, configuration, port) as opensips:
        yield Endpoint(opensips, mi_port)


async def comes_true(what: Callable[[], Awaitable[bool]]) -> None:
    """Another program is asked again and again: it tells nobody when it changes."""
    async with asyncio.timeout(PATIENCE_S):
        while not await what():  # noqa: ASYNC110 - nothing of ours happens when it does
            await asyncio.sleep(LOOK_S)


@dataclass(kw_only=True)
class Desk(ListeningBoard):
    """The gateway with a fake house behind it, and what happens in its calls."""

    gateway: OpenSips
    endpoint: Endpoint

    async def subscribed(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.gateway.subscription.is_held.wait()

    async def _is_free(self) -> bool:
        left = self.host.live_calls, self.gateway.live_calls, self.gateway.sessions
        return left == (0, 0, 0) and await self.endpoint.is_empty()

    async def is_free(self) -> None:
        """Return when nothing is left of any call, here or at OpenSIPS."""
        await comes_true(self._is_free)


@asynccontextmanager
async def desk_at(
    endpoint: Endpoint,
    listening: Listening,
    *,
    max_calls: int = 4,
    patience: Patience = USUAL,
    **house: Any,
) -> AsyncIterator[Desk]:
    notes = Notes()
    fake = FakeHouse(listening, **{"agents": [DEMO], "listeners": [notes.note], **house})
    options = OpenSipsOptions(
        mi_port=endpoint.mi_port,
        line=LineOptions(codecs=(G722, PCMU, PCMA)),
        rtp_ports=PORTS,
        patience=patience,
    )
    async with (
        no_task_left(),
        fake.host(max_calls=max_calls) as host,
        OpenSips(options, host, Wheel()) as gateway,
    ):
        notes.board = desk = Desk(gateway=gateway, host=host, endpoint=endpoint)
        await desk.subscribed()
        yield desk
