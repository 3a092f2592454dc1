"""Lines and phones that clean up after themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from parley.transports.sip.rtp.line import LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.webrtc.opus import Libopus
from parley.transports.wheel import Wheel
from tests.transports.sip.rtp.far_end import LOOPBACK, FarEnd, Notes


@pytest.fixture(scope="session")
def libopus() -> Libopus:
    return Libopus()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def wheel() -> AsyncIterator[Wheel]:
    wheel = Wheel()
    yield wheel
    assert not len(wheel)
    wheel.close()


@pytest.fixture
async def ports() -> PortRange:
    return PortRange(LOOPBACK, 20_000, 29_999)


@pytest.fixture
async def make_line(
    wheel: Wheel, ports: PortRange, notes: Notes
) -> AsyncIterator[Callable[..., PhoneLine]]:
    tasks = asyncio.all_tasks()
    made: list[PhoneLine] = []

    def make(
        libopus: Libopus | None = None,
        *,
        ports: PortRange = ports,
        listener: Notes = notes,
        **options: Any,
    ) -> PhoneLine:
        line = PhoneLine(LineOptions(**options), ports, wheel, listener, libopus=libopus)
        made.append(line)
        return line

    yield make
    for line in made:
        line.close()
    left = [t for t in asyncio.all_tasks() - tasks if t is not asyncio.current_task()]
    assert not left, left


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    far_end = await FarEnd().open()
    yield far_end
    far_end.close()
