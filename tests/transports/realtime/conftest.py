"""Shared by the Realtime tests: a caller's words, made once."""

from __future__ import annotations

import asyncio

import pytest

from parley.core.audio import Resampler
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.transports.realtime.client import RATE_HZ


@pytest.fixture(scope="session")
def words() -> bytes:
    """Somebody says something short: s16le at 24 kHz."""
    pcm = asyncio.run(CallerVoice()("what time is it"))
    resampler = Resampler(CALLER_HZ, RATE_HZ)
    return resampler.push(pcm) + resampler.flush()
