"""When a caller counts as here, lost and gone, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.errors import ConnectFailed
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.presence import Presence


class Line:
    """A presence and the seconds that pass for it; packets come while ``alive``."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.packets = 0
        options = WebRtcOptions(connect_timeout_s=30, lost_after_s=6, reconnect_grace_s=15)
        self.presence = Presence(options, lambda: self.now_s)

    def seconds(self, count: int, *, alive: bool) -> None:
        for _ in range(count):
            self.now_s += 1
            self.packets += 50 if alive else 0
            self.presence.tick(self.packets)


@pytest.fixture
def line() -> Line:
    return Line()


async def test_an_offer_that_never_connects_is_given_up(line):
    line.seconds(29, alive=False)
    assert not line.presence.is_over

    line.seconds(1, alive=False)

    assert line.presence.is_over
    with pytest.raises(ConnectFailed, match="TURN"):
        await line.presence.connected()


async def test_connected_returns_once_the_caller_is_here(line):
    waiting = asyncio.create_task(line.presence.connected())
    await asyncio.sleep(0)
    assert not waiting.done()

    line.presence.arrived()

    await waiting


async def test_a_caller_of_whom_nothing_is_heard_is_lost_within_8_s(line):
    line.presence.arrived()
    line.seconds(5, alive=True)

    line.seconds(7, alive=False)

    assert line.presence.is_lost
    assert not line.presence.is_over


async def test_a_lost_caller_is_gone_after_the_grace(line):
    line.presence.arrived()
    line.seconds(5, alive=True)

    line.seconds(6 + 15, alive=False)

    assert await line.presence.gone() == "error"


async def test_a_caller_who_is_heard_again_is_not_lost(line):
    line.presence.arrived()
    line.seconds(2, alive=True)
    line.seconds(12, alive=False)
    assert line.presence.is_lost

    line.seconds(1, alive=True)
    line.seconds(5, alive=False)

    assert not line.presence.is_lost
    assert not line.presence.is_over


async def test_a_new_connection_ends_the_loss(line):
    line.presence.arrived()
    line.seconds(10, alive=False)

    line.presence.arrived()
    line.packets = 0
    line.seconds(3, alive=True)

    assert not line.presence.is_lost


async def test_the_first_reason_to_leave_counts(line):
    line.presence.leave("caller")
    line.presence.leave("error")

    assert await line.presence.gone() == "caller"
