"""A server, a caller's voice and a browser for the end-to-end tests."""

from __future__ import annotations

import os
import wave
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from parley.core.audio import Resampler
from parley.engines.spec import SpeechOptions
from parley.engines.tts.builtin import SPEC
from tests.e2e.browser import find_chromium
from tests.e2e.server import Server, running_server

CALLER_HZ = 16_000


@pytest.fixture(scope="session", autouse=True)
def browser_is_there() -> None:
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing; scripts/test installs it.")
        pytest.skip("Chromium is missing: apt-get install chromium")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(tmp_path) as running:
        yield running


class CallerVoice:
    """Speaks a text as s16le at 16 kHz."""

    async def __call__(self, text: str, voice: str = "en-us+f3") -> bytes:
        engine = SPEC.open(SPEC.options())
        await engine.warm_up()
        spoken, resampler = b"", None
        async for piece in engine.synthesize(text, SpeechOptions(voice=voice)):
            resampler = resampler or Resampler(piece.rate_hz, CALLER_HZ)
            spoken += resampler.push(piece.pcm)
        await engine.close()
        return spoken + (resampler.flush() if resampler else b"")


@pytest.fixture
def say() -> CallerVoice:
    return CallerVoice()


@pytest.fixture
def human_speech() -> bytes:
    """The first sentence of A Tale of Two Cities, read by a person (public domain)."""
    found = find_spec("moonshine_voice")
    assert found is not None and found.origin is not None
    path = next(Path(found.origin).parent.rglob("two_cities.wav"))
    with wave.open(str(path)) as file:
        pcm = file.readframes(file.getnframes())
        resampler = Resampler(file.getframerate(), CALLER_HZ)
    return resampler.push(pcm) + resampler.flush()
