"""A recording becomes text: decoded, cut and recognised a stretch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from parley.api.openai.cutting import RATE_HZ, Cutter, Stretch
from parley.api.openai.decoding import SoundFile
from parley.api.openai.engines import HearingEngine
from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import UnsupportedValue
from parley.engines.fallback.timing import closing
from parley.engines.spec import TranscribeOptions, TranscriptPart, Word
from parley.engines.stt.silence import is_nearly_silent

# Decoded at a time: some milliseconds of work for a thread.
_READ_MS = 5000
# A recogniser that others use too is taken up by a piece at a time, and so is one that is stopped.
_PIECE_MS = 200


@dataclass(frozen=True, slots=True)
class Segment:
    """Something that was said, by the recording's time."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] = ()


class Listener:
    """Hears one recording. ``segments`` may be iterated once."""

    def __init__(
        self, sound: SoundFile, cutter: Cutter, hearing: HearingEngine, options: TranscribeOptions
    ) -> None:
        self._sound = sound
        self._cutter = cutter
        self._hearing = hearing
        self._options = options

    async def segments(self) -> AsyncGenerator[Segment]:
        """What was said, as soon as it is certain; nothing for silence."""
        async with aclosing(self._stretches()) as stretches:
            async for stretch in stretches:
                if is_nearly_silent(stretch.pcm, RATE_HZ):
                    continue
                for segment in _placed(await self._parts(stretch), stretch):
                    if self._options.words and not segment.words:
                        raise no_words(self._hearing)
                    yield segment

    async def _stretches(self) -> AsyncGenerator[Stretch]:
        is_over = False
        while not is_over:
            stretches, is_over = await asyncio.to_thread(self._read)
            for stretch in stretches:
                yield stretch

    def _read(self) -> tuple[list[Stretch], bool]:
        pcm = self._sound.read(_READ_MS)
        # A shorter read than was asked for is the last.
        if len(pcm) == pcm_bytes(_READ_MS, RATE_HZ):
            return self._cutter.push(pcm), False
        return [*self._cutter.push(pcm), *self._cutter.flush()], True

    async def _parts(self, stretch: Stretch) -> list[TranscriptPart]:
        parts: list[TranscriptPart] = []
        recognition = self._hearing.engine.transcribe(_Playback(stretch.pcm), self._options)
        async with closing(recognition) as results:
            async for part in results:
                if part.final and part.text.strip():
                    parts.append(part)
        return parts


class _Playback(AsyncIterator[Audio]):
    """A stretch, in pieces, as fast as it is taken."""

    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm
        self._at = 0

    async def __anext__(self) -> Audio:
        if self._at >= len(self._pcm):
            raise StopAsyncIteration
        piece = self._pcm[self._at : self._at + pcm_bytes(_PIECE_MS, RATE_HZ)]
        self._at += len(piece)
        return Audio(piece, RATE_HZ)


def no_words(hearing: HearingEngine) -> UnsupportedValue:
    return UnsupportedValue(
        f"{hearing.name} can't tell when each word was said.",
        hint="Leave word out of timestamp_granularities, or name a model that can.",
        param="timestamp_granularities",
    )


def _placed(parts: Sequence[TranscriptPart], stretch: Stretch) -> list[Segment]:
    """The parts by the recording's time; those without times of their own share the stretch."""
    if not all(part.end_ms > part.start_ms for part in parts):
        return _shared_out(parts, stretch)
    placed: list[Segment] = []
    for part in parts:
        start_ms = stretch.start_ms + part.start_ms
        end_ms = min(stretch.start_ms + part.end_ms, stretch.end_ms)
        words = _words(part, stretch)
        placed.append(Segment(part.text.strip(), start_ms, max(end_ms, start_ms), words))
    return placed


def _shared_out(parts: Sequence[TranscriptPart], stretch: Stretch) -> list[Segment]:
    lengths = [len(part.text) for part in parts]
    whole, said = sum(lengths), 0
    duration_ms = stretch.end_ms - stretch.start_ms
    placed: list[Segment] = []
    for part, length in zip(parts, lengths, strict=True):
        start_ms = stretch.start_ms + duration_ms * said // whole
        said += length
        end_ms = stretch.start_ms + duration_ms * said // whole
        placed.append(Segment(part.text.strip(), start_ms, end_ms, _words(part, stretch)))
    return placed


def _words(part: TranscriptPart, stretch: Stretch) -> tuple[Word, ...]:
    begin = stretch.start_ms
    return tuple(Word(each.text, begin + each.start_ms, begin + each.end_ms) for each in part.words)
