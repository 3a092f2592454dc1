"""Somebody who calls with sound alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiortc.rtp import RtpPacket

from parley.transports.sip.rtp.ports import PortRange
from tests.transports.sip.caller import PhoneCaller
from tests.transports.sip.phone import Phone
from tests.transports.sip.rtp.far_end import LOOPBACK, FarEnd

SOUND = b"\xff" * 160


def free_port() -> int:
    ports = PortRange(LOOPBACK, 32_000, 33_999)
    pair = ports.take()
    ports.release(pair)
    return pair.port


@asynccontextmanager
async def caller_at(port: int) -> AsyncIterator[PhoneCaller]:
    caller = PhoneCaller(Phone(), await FarEnd().open())
    caller.begin(f"m=audio {port} RTP/AVP 0")
    try:
        yield caller
    finally:
        await caller.close()


def packet(number: int = 0, *, kind: int = 0, ssrc: int = 7, payload: bytes = SOUND) -> bytes:
    return RtpPacket(kind, 0, number, number * 160, ssrc, payload).serialize()


async def beside(sound: FarEnd) -> FarEnd:
    """A socket at the port above, where a telephone's reports come from."""
    return await FarEnd().open(LOOPBACK, sound.port + 1)
