"""Sound of the telephone network, which ends at 4 kHz: how it is told, and what it does to a model
that has learnt from sound up to 7 kHz."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE_HZ = 16_000

# What the missing band does to the model's thirteen coefficients, as a linear map: found by least
# squares between a reader's 44 seconds and the same through G.711 (tests/learn_narrow_band.py).
# With it the telephone's PCMU is understood about as well as wide sound: of 66 sentences of the
# built-in voice 61 and 61, and without it 43.
MAP_OF_G711 = """
 0.79  0.11 -0.05  0.03 -0.02  0.00  0.00  0.00  0.01 -0.01  0.00  0.00 -0.01
 0.65  0.64  0.17 -0.09  0.04  0.00 -0.01  0.01 -0.02  0.01  0.00 -0.01  0.02
-0.83  0.42  0.71  0.14 -0.06  0.03 -0.01 -0.01  0.01 -0.01  0.01  0.01  0.00
 0.75 -0.37  0.27  0.82  0.11 -0.07  0.04  0.00  0.01 -0.01 -0.01  0.01 -0.03
-0.48  0.26 -0.17  0.19  0.82  0.14 -0.10  0.06 -0.04  0.03  0.01 -0.04  0.05
 0.07 -0.10  0.09 -0.14  0.17  0.79  0.17 -0.13  0.09 -0.05  0.00  0.04 -0.07
 0.29 -0.04 -0.03  0.09 -0.12  0.23  0.78  0.21 -0.14  0.09 -0.02 -0.02  0.06
-0.47  0.15 -0.03 -0.05  0.10 -0.17  0.20  0.75  0.20 -0.13  0.07  0.00 -0.01
 0.45 -0.18  0.07  0.01 -0.09  0.11 -0.14  0.21  0.78  0.19 -0.14  0.07 -0.05
-0.29  0.16 -0.07  0.02  0.06 -0.05  0.09 -0.11  0.16  0.80  0.20 -0.15  0.11
 0.07 -0.09  0.04 -0.02 -0.02  0.00 -0.04  0.03 -0.08  0.15  0.80  0.21 -0.16
 0.11  0.02 -0.01  0.04 -0.01  0.04  0.01  0.03  0.01 -0.07  0.17  0.78  0.20
-0.21  0.02 -0.01 -0.05  0.03 -0.05  0.01 -0.06  0.04  0.01 -0.09  0.17  0.81
"""
# The coefficients, how they change, and how that changes: one map does for each.
_STREAMS = 3

_FRAME_SAMPLES = 400
_LOW_HZ, _HIGH_HZ = (300, 3400), (4400, 7000)
# The loudest moment above 4 kHz, of the loudest below: at most 2e-5 in G.711, at least 6e-4 in wide
# sound, tried with 45 sentences at three volumes, also through G.722 and Opus.
_NARROW_SHARE = 1e-4
# What is hardly louder than the room says nothing of where it comes from.
_AUDIBLE = 50.0


def write_mllr(path: Path) -> None:
    """The map as PocketSphinx reads it: one class, for each stream the matrix, no offset, and
    variances as they are."""
    rows = MAP_OF_G711.strip().splitlines()
    size = len(rows)
    stream = [str(size), *rows, " ".join(["0"] * size), " ".join(["1"] * size)]
    path.write_text("\n".join(["1", str(_STREAMS), *stream * _STREAMS]) + "\n", encoding="ascii")


def is_narrow(pcm: bytes, room_noise: float) -> bool:
    """Whether there is a voice and nothing of it above 4 kHz. ``room_noise`` is the standard
    deviation of white noise that was added to the sound."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    count = len(samples) // _FRAME_SAMPLES
    if not count:
        return False
    window = np.hanning(_FRAME_SAMPLES)
    frames = samples[: count * _FRAME_SAMPLES].reshape(count, _FRAME_SAMPLES) * window
    power = np.abs(np.fft.rfft(frames)) ** 2
    pitch_hz = np.fft.rfftfreq(_FRAME_SAMPLES, 1 / RATE_HZ)
    low, high = (power[:, (pitch_hz >= a) & (pitch_hz <= b)] for a, b in (_LOW_HZ, _HIGH_HZ))
    noise = room_noise**2 * float(np.sum(window**2))
    loudest = low.sum(axis=1).max()
    if loudest < _AUDIBLE * noise * low.shape[1]:
        return False
    above = high.sum(axis=1).max() - 2 * noise * high.shape[1]
    return bool(above < _NARROW_SHARE * loudest)
