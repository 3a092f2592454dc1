"""Silence is told from speech by its level; steady noise is not speech either."""

from __future__ import annotations

import numpy as np
import pytest

from parley.engines.stt.silence import is_nearly_silent, spoken_ms

RATE_HZ = 16_000


def noise(duration_ms: int, level: float) -> bytes:
    samples = np.random.default_rng(1).normal(0, level * 32768, RATE_HZ * duration_ms // 1000)
    return np.clip(samples, -32768, 32767).astype(np.int16).tobytes()


def spoken(duration_ms: int, level: float) -> bytes:
    """A voice's sound between two quiet moments, over the hiss of a line."""
    return noise(400, 0.0005) + noise(duration_ms, level) + noise(400, 0.0005)


@pytest.mark.parametrize(
    "pcm",
    [
        b"",
        bytes(100),
        bytes(RATE_HZ * 4),
        np.full(RATE_HZ, 900, np.int16).tobytes(),
        noise(3000, 0.001),
    ],
    ids=["nothing", "a moment", "zeros", "an offset", "hiss"],
)
def test_silence_is_not_worth_a_recognisers_time(pcm: bytes) -> None:
    assert is_nearly_silent(pcm, RATE_HZ)
    assert spoken_ms(pcm, RATE_HZ) == 0


@pytest.mark.parametrize("level", [0.01, 0.1, 0.5])
def test_a_short_word_in_a_long_silence_is_heard(level: float) -> None:
    pcm = bytes(RATE_HZ * 20) + spoken(200, level)

    assert not is_nearly_silent(pcm, RATE_HZ)
    assert 180 <= spoken_ms(pcm, RATE_HZ) <= 220


@pytest.mark.parametrize("level", [0.02, 0.3])
def test_steady_noise_is_no_speech_however_loud(level: float) -> None:
    assert spoken_ms(noise(2000, level), RATE_HZ) == 0


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 48_000])
def test_the_level_does_not_depend_on_the_rate(rate_hz: int) -> None:
    quiet = bytes(rate_hz)
    tone = (np.sin(np.arange(rate_hz // 2) * 0.05) * 3000).astype(np.int16).tobytes()

    assert spoken_ms(quiet + tone + quiet, rate_hz) == 500
