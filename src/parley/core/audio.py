"""Audio as it travels inside Parley: signed 16-bit little-endian mono PCM with its rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class Audio:
    """A run of sound.

    ``pcm`` is s16le mono; ``rate_hz`` is samples per second. ``words`` is the part of a text
    that has been spoken when this run ends, for engines that can tell; "" where they can't.
    """

    pcm: bytes
    rate_hz: int
    words: str = ""

    @property
    def duration_ms(self) -> float:
        return len(self.pcm) / BYTES_PER_SAMPLE * 1000 / self.rate_hz


def pcm_bytes(duration_ms: float, rate_hz: int) -> int:
    """How many bytes of PCM last ``duration_ms``, always a whole number of samples."""
    return round(duration_ms * rate_hz / 1000) * BYTES_PER_SAMPLE


class Resampler:
    """Changes the rate of one stream, a piece at a time.

    It is FFmpeg's resampler and not soxr's: soxr's stream keeps 40 to 170 ms back, which a
    caller hears as delay. ``flush()`` at the end of an utterance gives the last samples and
    readies the resampler for the next one.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._resampler = self._fresh()

    def _fresh(self) -> av.AudioResampler:
        return av.AudioResampler(format="s16", layout="mono", rate=self.to_hz)

    def push(self, pcm: bytes) -> bytes:
        """Resample one piece; the answer may be shorter or longer by a few samples."""
        if self.from_hz == self.to_hz or not pcm:
            return pcm
        return b"".join(map(samples_of, self._resampler.resample(frame_of(pcm, self.from_hz))))

    def flush(self) -> bytes:
        """The samples still held; the next ``push`` starts a new stream."""
        if self.from_hz == self.to_hz:
            return b""
        tail = b"".join(map(samples_of, self._resampler.resample(None)))
        self._resampler = self._fresh()
        return tail


def frame_of(pcm: bytes, rate_hz: int) -> av.AudioFrame:
    """The samples as FFmpeg takes them."""
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // BYTES_PER_SAMPLE)
    frame.sample_rate = rate_hz
    frame.time_base = _time_base(rate_hz)
    # Not from_ndarray: its checks take as long as the resampling.
    plane = frame.planes[0]
    plane.update(pcm.ljust(plane.buffer_size, b"\0"))
    return frame


@cache
def _time_base(rate_hz: int) -> Fraction:
    return Fraction(1, rate_hz)


def samples_of(frame: av.AudioFrame) -> bytes:
    """The sound of a frame of s16 mono."""
    # FFmpeg pads planes to its alignment: only the first `samples` belong to the sound.
    return bytes(memoryview(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE])


def loudness(pcm: bytes) -> float:
    """Root mean square of the samples, 0 (silence) to 1 (full scale)."""
    if not pcm:
        return 0.0
    samples = np.frombuffer(pcm, dtype=np.int16).astype(np.float32) / 32768.0
    return float(np.sqrt(np.dot(samples, samples) / len(samples)))
