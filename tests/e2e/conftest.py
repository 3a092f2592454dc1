"""A server, a caller's voice and a browser for the end-to-end tests."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from parley.core.audio import Resampler
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.chromium import require_chromium
from tests.e2e.server import Server, running_server

TWO_TIMES_S = 6.2


@pytest.fixture(scope="session", autouse=True)
def browser_is_there() -> None:
    require_chromium()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(tmp_path) as running:
        yield running


@pytest.fixture
def say() -> CallerVoice:
    return CallerVoice()


@pytest.fixture
def human_speech() -> bytes:
    """How A Tale of Two Cities begins, read by a person (public domain): two times of two kinds."""
    found = find_spec("moonshine_voice")
    assert found is not None and found.origin is not None
    path = next(Path(found.origin).parent.rglob("two_cities.wav"))
    with wave.open(str(path)) as file:
        pcm = file.readframes(round(file.getframerate() * TWO_TIMES_S))
        resampler = Resampler(file.getframerate(), CALLER_HZ)
    return resampler.push(pcm) + resampler.flush()
