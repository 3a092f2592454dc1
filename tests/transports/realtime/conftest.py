"""Shared by the Realtime tests: the listening models and a caller's words, made once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from parley.core.audio import Resampler
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import SileroVad
from parley.session.turns import Listening
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.transports.realtime.client import RATE_HZ


@pytest.fixture(scope="session")
def listening() -> Iterator[Listening]:
    models = Listening(SileroVad(), SmartTurn())
    models.warm_up()
    yield models
    models.close()


@pytest.fixture(scope="session")
def words() -> bytes:
    """Somebody says something short: s16le at 24 kHz."""
    pcm = asyncio.run(CallerVoice()("what time is it"))
    resampler = Resampler(CALLER_HZ, RATE_HZ)
    return resampler.push(pcm) + resampler.flush()
