"""Find the map in engines/stt/narrow_band.py again: `python -m tests.learn_narrow_band`.

It prints what the telephone's missing band does to the coefficients that PocketSphinx hears by:
those of a reader's sentences, and those of the same sentences through G.711.
"""

from __future__ import annotations

import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from parley.core.audio import Resampler
from tests.caller_voice import CALLER_HZ
from tests.record_callers import through

# The model's own analysis (its feat.params, and what PocketSphinx takes where that says nothing).
FRAME, STEP, POINTS = 410, 160, 512
LOWEST_HZ, HIGHEST_HZ, FILTERS, COEFFICIENTS, LIFTER = 130, 6800, 25, 13, 22
EMPHASIS = 0.97
ROOM_NOISE = 10
# How far codecs and resamplers may shift the sound.
SHIFTS = range(-40, 41)


def filters() -> np.ndarray:
    """Triangles of equal area, evenly spread over the mel scale."""
    step_hz = CALLER_HZ / POINTS
    mel = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), FILTERS + 2)
    edges = np.round(700 * (10 ** (mel / 2595) - 1) / step_hz) * step_hz
    pitch_hz = np.arange(POINTS // 2 + 1) * step_hz
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    sides = np.minimum((pitch_hz - low) / (middle - low), (high - pitch_hz) / (high - middle))
    return np.clip(sides, 0, None) * 2 / (high - low)


def _mel(pitch_hz: float) -> float:
    return 2595 * float(np.log10(1 + pitch_hz / 700))


def coefficients(samples: np.ndarray) -> np.ndarray:
    sound = samples + np.random.default_rng(3).normal(0, ROOM_NOISE, len(samples))
    sound = np.append(sound[0], sound[1:] - EMPHASIS * sound[:-1])
    starts = np.arange((len(sound) - FRAME) // STEP + 1)[:, None] * STEP
    frames = sound[starts + np.arange(FRAME)] * np.hamming(FRAME)
    power = np.abs(np.fft.rfft(frames, POINTS)) ** 2
    order = np.arange(COEFFICIENTS)[:, None]
    cosines = np.cos(np.pi * order * (np.arange(FILTERS) + 0.5) / FILTERS) * np.sqrt(2 / FILTERS)
    cosines[0] /= np.sqrt(2)
    lifter = 1 + LIFTER / 2 * np.sin(np.arange(COEFFICIENTS) * np.pi / LIFTER)
    return np.log(power @ filters().T + 1e-4) @ cosines.T * lifter


def reader() -> bytes:
    """The public-domain sentences that come with Moonshine."""
    found = find_spec("moonshine_voice")
    assert found is not None and found.origin is not None, "install the extra `local`"
    with wave.open(str(Path(found.origin).parent / "assets" / "two_cities.wav")) as file:
        pcm, rate_hz = file.readframes(file.getnframes()), file.getframerate()
    resampler = Resampler(rate_hz, CALLER_HZ)
    return resampler.push(pcm) + resampler.flush()


def learn(pcm: bytes) -> np.ndarray:
    wide, narrow = (np.frombuffer(p, np.int16) for p in (pcm, through("pcm_mulaw", 8000, pcm)))
    length = min(len(wide), len(narrow))
    wide, narrow = wide[:length].astype(float), narrow[:length].astype(float)
    shift = max(SHIFTS, key=lambda samples: float(wide @ np.roll(narrow, samples)))
    before, after = coefficients(wide), coefficients(np.roll(narrow, shift))
    is_voice = before[:, 0] > np.percentile(before[:, 0], 20)
    # The recogniser takes means off both, too.
    before, after = (each - each.mean(axis=0) for each in (before, after))
    return np.linalg.lstsq(before[is_voice], after[is_voice], rcond=None)[0].T


if __name__ == "__main__":
    for row in np.round(learn(reader()), 2) + 0.0:
        print(" ".join(f"{value:5.2f}" for value in row))
