"""Piper's real HTTP server, spoken to as in a call."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from parley.engines.spec import SpeechOptions
from parley.engines.tts.piper import PiperOptions, PiperSpeech
from tests.engines.servers.piper_program import PiperMissing, PiperProgram, piper_python
from tests.engines.tts.spoken import duration_ms, joined, speak

TONE_HZ = 220


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return piper_python()
    except PiperMissing as error:
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
async def piper(python: Path) -> AsyncIterator[PiperSpeech]:
    async with PiperProgram(python) as server:
        engine = PiperSpeech(PiperOptions.model_validate({"ws_url": server.url}))
        yield engine
        await engine.close()


async def test_the_real_piper_is_well_speaks_lists_its_voice_and_hurries(
    piper: PiperSpeech,
) -> None:
    status = await piper.check()
    spoken = await speak(piper, "hello there")
    hurried = await speak(piper, "hello there", SpeechOptions(speed=2.0))
    named = await speak(piper, "hello there", SpeechOptions(voice="tone"))

    assert status.ok, status
    assert [(voice.id, voice.language) for voice in piper.voices()] == [("tone", "en-US")]
    assert duration_ms(hurried) == pytest.approx(duration_ms(spoken) / 2, rel=0.1)
    assert joined(named) == joined(spoken)
    assert _pitch_hz(joined(spoken), spoken[0].rate_hz) == pytest.approx(TONE_HZ, abs=10)


def _pitch_hz(pcm: bytes, rate_hz: int) -> float:
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum)) * rate_hz / len(samples)
