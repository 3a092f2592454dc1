"""Spans of speech: found where it is, padded without overlap, cut when too long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from parley.engines.vad.silero import SileroVad, VoiceEar
from parley.engines.vad.spans import Span, SpanOptions, SpeechSpans
from tests.caller_voice import CallerVoice

WINDOW_MS = 32
WINDOW_BYTES = 1024


class ScriptedEar(VoiceEar):
    """Is told, window by window, whether somebody speaks."""

    def __init__(self, windows: Sequence[bool]) -> None:
        self._windows = iter(windows)

    def confidence(self, samples: NDArray[np.float32]) -> float:
        return 0.9 if next(self._windows) else 0.1


def spans(windows: Sequence[bool], options: SpanOptions, pieces: int = 1) -> list[Span]:
    found = SpeechSpans(ScriptedEar(windows), options)
    pcm = bytes(WINDOW_BYTES * len(windows))
    size = max(len(pcm) // pieces // 2 * 2, 2)
    given_back: list[Span] = []
    for at in range(0, len(pcm), size):
        given_back += found.push(pcm[at : at + size])
    return given_back + found.flush()


def windows(*runs: int) -> list[bool]:
    """Runs of silence and speech in turn, in windows."""
    return [number % 2 == 1 for number, run in enumerate(runs) for _ in range(run)]


def times(found: Sequence[Span]) -> list[tuple[float, float]]:
    return [(span.start / 512, span.end / 512) for span in found]


def test_a_span_begins_and_ends_where_speech_does() -> None:
    options = SpanOptions(min_silence_ms=3 * WINDOW_MS, pad_ms=0)

    assert times(spans(windows(10, 20, 10, 20, 10), options)) == [(10, 30), (40, 60)]


def test_short_pauses_are_within_a_span_and_short_sounds_are_none() -> None:
    options = SpanOptions(min_silence_ms=5 * WINDOW_MS, min_speech_ms=4 * WINDOW_MS, pad_ms=0)

    assert times(spans(windows(10, 20, 3, 20, 10, 2, 20), options)) == [(10, 53)]


def test_padding_is_shared_where_spans_are_near() -> None:
    options = SpanOptions(min_silence_ms=2 * WINDOW_MS, pad_ms=5 * WINDOW_MS)

    found = times(spans(windows(3, 20, 6, 20, 30, 20, 2), options))

    assert found == [(0, 26), (26, 54), (74, 101)]


def test_a_span_that_is_too_long_is_cut_at_its_pause() -> None:
    options = SpanOptions(min_silence_ms=1000, max_speech_s=2.0, pad_ms=0)

    found = times(spans(windows(0, 40, 5, 40, 40), options))

    assert found[0] == (0, 40)
    assert found[1][0] == 40
    assert all(end - start <= 2000 / WINDOW_MS + 1 for start, end in found)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(1, 50))
def test_spans_are_the_same_however_the_recording_comes(runs: list[int], pieces: int) -> None:
    script = windows(*runs)
    options = SpanOptions(min_silence_ms=100, max_speech_s=1.5, pad_ms=100)

    found = spans(script, options, pieces)

    assert found == spans(script, options)
    for before, after in pairwise(found):
        assert before.start < before.end <= after.start < after.end
    assert all(span.start >= 0 and span.end <= len(script) * 512 for span in found)


@pytest.mark.parametrize("pause_s", [1, 3])
async def test_silero_finds_a_sentence_between_silences(pause_s: int) -> None:
    speech = await CallerVoice()("I would like to book a table.")
    pause = bytes(32_000 * pause_s)
    finder = SpeechSpans(SileroVad().ear(), SpanOptions(min_silence_ms=600))

    found = [*finder.push(pause + speech + pause), *finder.flush()]

    (span,) = found
    assert abs(span.start_ms - pause_s * 1000) < 200
    assert abs(span.end_ms - pause_s * 1000 - len(speech) / 32) < 300


def test_what_may_still_be_needed_is_known() -> None:
    finder = SpeechSpans(ScriptedEar(windows(50, 20, 50)), SpanOptions(pad_ms=64))

    finder.push(bytes(WINDOW_BYTES * 60))
    within = finder.needed_from
    finder.push(bytes(WINDOW_BYTES * 60))

    assert within == 48 * 512
    assert finder.needed_from > 110 * 512
