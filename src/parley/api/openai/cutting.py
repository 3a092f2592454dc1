"""Cuts a recording of any length into stretches that a recogniser takes in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from parley.core.audio import BYTES_PER_SAMPLE, pcm_bytes
from parley.engines.vad.silero import VoiceEar
from parley.engines.vad.spans import Span, SpanOptions, SpeechSpans

RATE_HZ = 16_000
LONGEST_MS = 30_000
# A cut is looked for in the later half of a stretch, in the quietest moment of this length.
_EARLIEST_CUT_MS = 15_000
_FRAME_MS = 20
_QUIET_FRAMES = 10

# An utterance ends at a pause that a reader of subtitles would call one.
UTTERANCES = SpanOptions(
    threshold=0.5, min_speech_ms=100, max_speech_s=LONGEST_MS / 1000, min_silence_ms=600, pad_ms=200
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the recording: s16le mono at 16 kHz, and where it begins."""

    pcm: bytes
    start_ms: int

    @property
    def end_ms(self) -> int:
        return self.start_ms + len(self.pcm) * 1000 // (BYTES_PER_SAMPLE * RATE_HZ)


class Cutter(Protocol):
    """Takes the recording as it is decoded."""

    def push(self, pcm: bytes) -> list[Stretch]: ...

    def flush(self) -> list[Stretch]:
        """What is left at the end."""
        ...


class PauseCutter:
    """Leaves a recording whole unless it is long; then cuts at its quietest moments.

    Nothing is left out, and loudness is all that is looked at: it costs next to nothing.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._cut_bytes = 0

    def push(self, pcm: bytes) -> list[Stretch]:
        self._held += pcm
        found: list[Stretch] = []
        longest = pcm_bytes(LONGEST_MS, RATE_HZ)
        while len(self._held) > longest:
            found.append(self._take(_quietest(bytes(self._held[:longest]))))
        return found

    def flush(self) -> list[Stretch]:
        return [self._take(len(self._held))] if self._held else []

    def _take(self, length: int) -> Stretch:
        start_ms = self._cut_bytes * 1000 // (BYTES_PER_SAMPLE * RATE_HZ)
        taken = bytes(self._held[:length])
        del self._held[:length]
        self._cut_bytes += length
        return Stretch(taken, start_ms)


def _quietest(pcm: bytes) -> int:
    """Where to cut, in bytes."""
    frame = RATE_HZ * _FRAME_MS // 1000
    earliest = pcm_bytes(_EARLIEST_CUT_MS, RATE_HZ)
    samples = np.frombuffer(pcm, np.int16, offset=earliest).astype(np.float32)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power: NDArray[np.float32] = np.einsum("ij,ij->i", frames, frames)
    around = np.convolve(power, np.ones(_QUIET_FRAMES), "valid")
    middle = (int(np.argmin(around)) + _QUIET_FRAMES // 2) * frame
    return earliest + middle * BYTES_PER_SAMPLE


class UtteranceCutter:
    """Gives the utterances alone, each with its own times, as Silero finds them."""

    def __init__(self, ear: VoiceEar, options: SpanOptions = UTTERANCES) -> None:
        self._spans = SpeechSpans(ear, options)
        self._held = bytearray()
        self._dropped_bytes = 0

    def push(self, pcm: bytes) -> list[Stretch]:
        self._held += pcm
        return self._stretches(self._spans.push(pcm))

    def flush(self) -> list[Stretch]:
        return self._stretches(self._spans.flush())

    def _stretches(self, spans: list[Span]) -> list[Stretch]:
        found = [self._stretch(span) for span in spans]
        needless = self._spans.needed_from * BYTES_PER_SAMPLE - self._dropped_bytes
        if needless > 0:
            del self._held[:needless]
            self._dropped_bytes += needless
        return found

    def _stretch(self, span: Span) -> Stretch:
        start = span.start * BYTES_PER_SAMPLE - self._dropped_bytes
        end = span.end * BYTES_PER_SAMPLE - self._dropped_bytes
        return Stretch(bytes(self._held[max(start, 0) : end]), span.start_ms)
