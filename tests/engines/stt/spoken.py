"""Utterances for tests of recognisers in other programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from parley.core.audio import Audio, pcm_bytes
from parley.engines.spec import TranscribeOptions, Transcriber, TranscriptPart

RATE_HZ = 16_000


async def sound(duration_ms: int, rate_hz: int = RATE_HZ) -> AsyncIterator[Audio]:
    """An utterance that is there at once, in pieces of 20 ms."""
    for _ in range(duration_ms // 20):
        yield Audio(bytes(pcm_bytes(20, rate_hz)), rate_hz)


class Mouth:
    """An utterance that goes on until it is told to stop; ``fail`` breaks it off."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Audio | Exception | None] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """Pieces of 20 ms that nobody has taken yet."""
        return self._queue.qsize()

    def speak(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            self._queue.put_nowait(Audio(bytes(pcm_bytes(20, RATE_HZ)), RATE_HZ))

    def stop(self) -> None:
        self._queue.put_nowait(None)

    def fail(self, error: Exception) -> None:
        self._queue.put_nowait(error)

    async def audio(self) -> AsyncIterator[Audio]:
        while (piece := await self._queue.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece


async def hear(
    engine: Transcriber,
    audio: AsyncIterator[Audio],
    options: TranscribeOptions | None = None,
) -> list[TranscriptPart]:
    parts = engine.transcribe(audio, options or TranscribeOptions())
    async with aclosing(cast("AsyncGenerator[TranscriptPart]", parts)) as parts:
        return [part async for part in parts]


def finals(parts: list[TranscriptPart]) -> list[str]:
    return [part.text for part in parts if part.final]


def partials(parts: list[TranscriptPart]) -> list[str]:
    return [part.text for part in parts if not part.final]
