"""What passes for lost sound: the last pitch period again and again, dying away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parley.core.audio import BYTES_PER_SAMPLE

_HISTORY_MS = 50
_LONGEST_PERIOD_MS = 15
_SHORTEST_PERIOD_MS = 2.5
_COMPARED_MS = 15
# A repeated period sounds like a buzz before long, so it is made to fade out.
_STEADY_MS = 10
_GONE_MS = 60
_JOIN_MS = 4

Samples = NDArray[np.float32]


class Concealer:
    """Remembers the last sound of a stream; for codecs that can't conceal by themselves."""

    def __init__(self, rate_hz: int) -> None:
        self._per_ms = rate_hz // 1000
        self._history: bytes = bytes(_HISTORY_MS * self._per_ms * BYTES_PER_SAMPLE)
        self._period: Samples | None = None
        self._concealed = 0

    def heard(self, pcm: bytes) -> bytes:
        """Good sound. What follows a gap is joined to it softly."""
        if self._concealed:
            pcm = self._joined(pcm)
            self._concealed = 0
            self._period = None
        size = len(self._history)
        self._history = pcm[-size:] if len(pcm) >= size else (self._history + pcm)[-size:]
        return pcm

    def conceal(self, samples: int) -> bytes:
        pcm = self._continued(samples).astype(np.int16).tobytes()
        self._concealed += samples
        return pcm

    def _continued(self, samples: int) -> Samples:
        """Where the sound would have gone on from here, faded."""
        if self._period is None:
            self._period = self._last_period()
        at = np.arange(self._concealed, self._concealed + samples)
        steady, gone = _STEADY_MS * self._per_ms, _GONE_MS * self._per_ms
        volume = np.clip((gone - at) / (gone - steady), 0.0, 1.0).astype(np.float32)
        return self._period[at % len(self._period)] * volume

    def _last_period(self) -> Samples:
        sound = np.frombuffer(self._history, dtype=np.int16).astype(np.float32)
        compared = _COMPARED_MS * self._per_ms
        shortest = int(_SHORTEST_PERIOD_MS * self._per_ms)
        longest = _LONGEST_PERIOD_MS * self._per_ms
        end = sound[-compared:]
        before = sound[-compared - longest : -shortest]
        # Entry n compares the end with what lay `longest - n` samples earlier.
        likeness = np.correlate(before, end, mode="valid")
        squares = np.concatenate(([0.0], np.cumsum(before.astype(np.float64) ** 2)))
        energy = squares[compared:] - squares[:-compared]
        likeness = likeness / np.sqrt(energy + 1.0)
        lag = longest - int(np.argmax(likeness))
        return sound[-lag:]

    def _joined(self, pcm: bytes) -> bytes:
        length = min(_JOIN_MS * self._per_ms, len(pcm) // BYTES_PER_SAMPLE)
        old = self._continued(length)
        sound = np.frombuffer(pcm, dtype=np.int16).copy()
        rise = np.arange(1, length + 1, dtype=np.float32) / (length + 1)
        sound[:length] = (sound[:length] * rise + old * (1.0 - rise)).astype(np.int16)
        return sound.tobytes()
