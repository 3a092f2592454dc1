"""Finds the spans of a recording in which somebody speaks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parley.engines.vad.silero import RATE_HZ, WINDOW, VoiceEar

# How far below the threshold speech ends where nobody said: it must not flicker.
_HYSTERESIS = 0.15
_LEAST_THRESHOLD = 0.01
# A span that is too long is cut at a pause of at least this, if it has one.
_CUTTING_PAUSE_MS = 98


@dataclass(frozen=True, slots=True)
class SpanOptions:
    """``pad_ms`` is what each span is longer at both ends; neighbours share what lies between."""

    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_ms: float = 250.0
    max_speech_s: float = math.inf
    min_silence_ms: float = 100.0
    pad_ms: float = 30.0


@dataclass(frozen=True, slots=True)
class Span:
    """In samples at 16 kHz from the recording's start."""

    start: int
    end: int

    @property
    def start_ms(self) -> int:
        return self.start * 1000 // RATE_HZ

    @property
    def end_ms(self) -> int:
        return self.end * 1000 // RATE_HZ


class SpeechSpans:
    """``push`` the recording piece by piece; it gives the spans that are complete.

    ``needed_from`` is the first sample that a span still to come may begin with.
    """

    def __init__(self, ear: VoiceEar, options: SpanOptions) -> None:
        self._ear = ear
        self._on = options.threshold
        below = max(options.threshold - _HYSTERESIS, _LEAST_THRESHOLD)
        self._off = below if options.neg_threshold is None else options.neg_threshold
        self._min_speech = _samples(options.min_speech_ms)
        self._min_silence = _samples(options.min_silence_ms)
        self._pad = _samples(options.pad_ms)
        self._longest = math.inf
        if math.isfinite(options.max_speech_s):
            room = options.max_speech_s * RATE_HZ - WINDOW - 2 * self._pad
            self._longest = max(room, WINDOW)
        self._unheard = np.empty(0, np.float32)
        self._position = 0
        self._start: int | None = None
        self._hushed_at: int | None = None
        self._pause_at: int | None = None
        self._last: Span | None = None
        self._before = 0

    @property
    def needed_from(self) -> int:
        first = self._last.start if self._last else self._start
        if first is None:
            first = self._position
        return max(first - self._pad, 0)

    def push(self, pcm: bytes) -> list[Span]:
        """s16le mono at 16 kHz."""
        heard = np.frombuffer(pcm, np.int16).astype(np.float32) / np.float32(32768)
        samples: NDArray[np.float32] = np.concatenate([self._unheard, heard]).astype(np.float32)
        whole = len(samples) // WINDOW * WINDOW
        self._unheard = samples[whole:]
        found: list[Span] = []
        for at in range(0, whole, WINDOW):
            found += self._hear(samples[at : at + WINDOW])
        return found

    def flush(self) -> list[Span]:
        """The spans that the recording's end completes."""
        over = self._position + len(self._unheard)
        found: list[Span] = []
        if len(self._unheard):
            window = np.zeros(WINDOW, np.float32)
            window[: len(self._unheard)] = self._unheard
            found += self._hear(window)
            self._unheard = np.empty(0, np.float32)
        if self._start is not None:
            found += self._ended(min(over, self._position))
        if self._last is not None:
            found.append(self._padded(self._last, min(self._last.end + self._pad, over)))
            self._last = None
        return found

    def _hear(self, window: NDArray[np.float32]) -> list[Span]:
        confidence = self._ear.confidence(window)
        at = self._position
        self._position += WINDOW
        if confidence >= self._on:
            self._hushed_at = None
            if self._start is None:
                self._start = at
        if self._start is None:
            return self._settled()
        found: list[Span] = []
        if at - self._start > self._longest:
            found += self._cut(at, goes_on=confidence >= self._off)
        if confidence < self._off:
            found += self._hush(at)
        return found

    def _hush(self, at: int) -> list[Span]:
        if self._start is None:
            return []
        if self._hushed_at is None:
            self._hushed_at = at
        silent = at - self._hushed_at
        if silent > _samples(_CUTTING_PAUSE_MS):
            self._pause_at = self._hushed_at
        return self._ended(self._hushed_at) if silent >= self._min_silence else []

    def _cut(self, at: int, *, goes_on: bool) -> list[Span]:
        """End a span that has become too long at its last pause, where the next one begins."""
        cut_at = self._pause_at or at
        found = self._ended(cut_at)
        if goes_on:
            self._start = cut_at
        return found

    def _ended(self, end: int) -> list[Span]:
        assert self._start is not None
        span = Span(self._start, end)
        self._start = self._hushed_at = self._pause_at = None
        if span.end - span.start <= self._min_speech:
            return []
        last, self._last = self._last, span
        if last is None:
            return []
        between = span.start - last.end
        if between >= 2 * self._pad:
            return [self._padded(last, last.end + self._pad)]
        # Its share of what lies between, and the later span's is left to it.
        middle = last.end + between // 2
        padded = self._padded(last, middle)
        self._before = middle
        return [padded]

    def _settled(self) -> list[Span]:
        """The last span, once no other can be so near that they share what lies between."""
        last = self._last
        if last is None or self._position - last.end < 2 * self._pad:
            return []
        self._last = None
        return [self._padded(last, last.end + self._pad)]

    def _padded(self, span: Span, end: int) -> Span:
        start = max(span.start - self._pad, self._before)
        self._before = end
        return replace(span, start=start, end=end)


def _samples(duration_ms: float) -> int:
    return round(duration_ms * RATE_HZ / 1000)
