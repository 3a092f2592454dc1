"""Whether anybody can have spoken in a stretch of sound, judged by its level alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME_MS = 20
LOUDEST_MS = 60
SHORTEST_MS = 60
SILENCE_LEVEL = 0.003
"""Root mean square, of full scale: −50 dB, below what a telephone line's own noise reaches."""
SPEECH_LEVEL = 0.005
"""−46 dB: softer sound is nobody who talks to the microphone."""
OVER_NOISE = 3.0
"""Speech stands at least this factor (10 dB) over the quiet moments around and within it."""


def is_nearly_silent(pcm: bytes, rate_hz: int) -> bool:
    """Whether s16le mono sound holds nothing that could be a word: not worth a recogniser's time.

    The loudest 60 ms count, so that a short word in a long silence is heard.
    """
    levels = _levels(pcm, rate_hz)
    if len(levels) * FRAME_MS < SHORTEST_MS:
        return True
    width = LOUDEST_MS // FRAME_MS
    power = np.convolve(levels**2, np.full(width, 1 / width), "valid")
    return bool(np.sqrt(power.max()) < SILENCE_LEVEL)


def spoken_ms(pcm: bytes, rate_hz: int) -> int:
    """For how long the sound stands out as speech does; steady noise, however loud, gives 0."""
    levels = _levels(pcm, rate_hz)
    if not len(levels):
        return 0
    noise = float(np.percentile(levels, 10))
    return int(np.count_nonzero(levels > max(SPEECH_LEVEL, noise * OVER_NOISE))) * FRAME_MS


def _levels(pcm: bytes, rate_hz: int) -> NDArray[np.float32]:
    """The level of each whole frame, without the microphone's constant offset."""
    frame = rate_hz * FRAME_MS // 1000
    count = len(pcm) // 2 // frame
    samples = np.frombuffer(pcm, np.int16, count * frame).astype(np.float32)
    if count:
        samples -= samples.mean()
    frames = samples.reshape(count, frame)
    return np.sqrt(np.einsum("ij,ij->i", frames, frames) / frame) / np.float32(32768)
