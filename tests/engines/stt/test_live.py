"""The live recogniser: utterances cut by voice activity, heard by any engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import EngineFailed
from parley.engines.spec import Status, TranscribeOptions, TranscriptPart
from parley.engines.stt.live import LiveTranscriber
from parley.engines.stt.orders import PREROLL_MS
from parley.engines.stt.utterance import Utterance

STARTED = VADUserStartedSpeakingFrame
STOPPED = VADUserStoppedSpeakingFrame


class ScriptedEars:
    """A ``Transcriber`` that says what its script says, and keeps what it was fed."""

    def __init__(self, *script: str | Exception) -> None:
        self._script = list(script)
        self.heard_ms: list[float] = []
        self.closed = 0

    async def warm_up(self) -> None: ...

    async def check(self) -> Status:
        return Status(True)

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncIterator[TranscriptPart]:
        line = self._script.pop(0)
        if isinstance(line, Exception):
            raise line
        try:
            heard_ms = 0.0
            async for piece in audio:
                heard_ms += piece.duration_ms
            self.heard_ms.append(heard_ms)
            if line:
                yield TranscriptPart(line.split()[0], final=False)
            yield TranscriptPart(line, final=True)
        finally:
            self.closed += 1

    async def close(self) -> None: ...


def sound(duration_ms: int) -> list[Frame]:
    pcm = bytes(pcm_bytes(20, 16_000))
    return [InputAudioRawFrame(pcm, 16_000, 1) for _ in range(duration_ms // 20)]


def speech(duration_ms: int) -> list[Frame]:
    # Pauses let the queued sound arrive before the voice activity that overtakes it.
    return [
        SleepFrame(0.05),
        STARTED(),
        SleepFrame(0.05),
        *sound(duration_ms),
        SleepFrame(0.05),
        STOPPED(),
        SleepFrame(0.05),
    ]


async def play(
    ears: ScriptedEars, frames: list[Frame], **settings: float
) -> tuple[list[Frame], list[Frame]]:
    live = LiveTranscriber(ears, TranscribeOptions(), **settings)
    down, up = await run_test(live, frames_to_send=frames)
    return list(down), list(up)


def finals(frames: list[Frame]) -> list[tuple[str, bool]]:
    return [(f.text, f.finalized) for f in frames if isinstance(f, TranscriptionFrame)]


async def test_an_utterance_gives_partial_text_and_one_final() -> None:
    ears = ScriptedEars("good morning")

    down, _ = await play(ears, speech(400))

    assert finals(down) == [("good morning", True)]
    assert [f.text for f in down if isinstance(f, InterimTranscriptionFrame)] == ["good"]


async def test_the_recogniser_hears_the_moment_before_voice_activity_and_no_more() -> None:
    ears = ScriptedEars("hello")

    await play(ears, [*sound(2000), *speech(300)])

    assert ears.heard_ms == [PREROLL_MS + 300]


async def test_an_utterance_without_words_still_ends() -> None:
    down, _ = await play(ScriptedEars(""), speech(200))

    assert finals(down) == [("", True)]


async def test_all_sound_passes_on() -> None:
    down, _ = await play(ScriptedEars("hello"), [*sound(200), *speech(200), *sound(100)])

    assert sum(isinstance(frame, InputAudioRawFrame) for frame in down) == 25


async def test_a_failing_engine_is_reported_and_the_next_utterance_tries_again() -> None:
    ears = ScriptedEars(EngineFailed("The recogniser died."), "still here")

    down, up = await play(ears, [*speech(200), *speech(200)])

    assert [f.error for f in up if isinstance(f, ErrorFrame)] == ["The recogniser died."]
    assert finals(down) == [("", True), ("still here", True)]


async def test_the_end_of_a_call_in_mid_utterance_closes_the_engine() -> None:
    ears = ScriptedEars("never")
    before = asyncio.all_tasks()

    await play(ears, [STARTED(), SleepFrame(0.05), *sound(100), SleepFrame(0.05)])

    assert ears.closed == 1
    assert asyncio.all_tasks() == before


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(20, 400))
def test_waiting_sound_is_bounded_and_what_is_lost_is_the_oldest_and_counted(
    lengths_ms: list[int], limit_ms: int
) -> None:
    pieces = [
        Audio(bytes(pcm_bytes(ms, 16_000)), 16_000, words=str(n)) for n, ms in enumerate(lengths_ms)
    ]
    utterance = Utterance(limit_ms)

    for piece in pieces:
        utterance.put(piece)
    utterance.end()
    kept = asyncio.run(_drain(utterance.audio))

    kept_ms = sum(piece.duration_ms for piece in kept)
    assert kept == pieces[len(pieces) - len(kept) :]
    assert kept_ms <= limit_ms
    assert round(kept_ms + utterance.dropped_ms) == sum(lengths_ms)


async def _drain(audio: Callable[[], AsyncIterator[Audio]]) -> list[Audio]:
    return [piece async for piece in audio()]


async def test_speech_that_never_stops_is_cut_without_losing_any_of_it():
    ears = ScriptedEars("one", "two", "three")

    down, _ = await play(ears, speech(1000), longest_ms=400)

    assert ears.heard_ms == [400, 400, 200]
    assert finals(down) == [("one", False), ("two", False), ("three", True)]
