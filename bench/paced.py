"""Engines that take time and no processor, as one on another machine or a GPU does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from parley.core.audio import Audio, pcm_bytes
from parley.engines.spec import SpeechOptions, Status, TranscribeOptions, TranscriptPart, Voice

PACED = "paced"
RATE_HZ = 24_000
PIECE_MS = 80
REPLY_MS = 8000
# Two requests at once, each ten times as fast as it is spoken.
PLACES = 2
SPEED = 10
HEARING_MS = 100


class PacedSpeech:
    """Eight seconds of sound whatever the text."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(PLACES)

    async def warm_up(self) -> None: ...

    async def check(self) -> Status:
        return Status(True)

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        piece = Audio(bytes(pcm_bytes(PIECE_MS, RATE_HZ)), RATE_HZ)
        loop = asyncio.get_running_loop()
        async with self._places:
            began_s = loop.time()
            for number in range(1, REPLY_MS // PIECE_MS + 1):
                # By the clock and not by the pause, so that a late wake-up is made good.
                due_s = began_s + number * PIECE_MS / 1000 / SPEED
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                yield piece

    def voices(self) -> Sequence[Voice]:
        return ()

    async def close(self) -> None: ...


class PacedHearing:
    """The same words after the same time."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(PLACES)

    async def warm_up(self) -> None: ...

    async def check(self) -> Status:
        return Status(True)

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        async for _ in audio:
            pass
        async with self._places:
            await asyncio.sleep(HEARING_MS / 1000)
        yield TranscriptPart("Good morning, a table for two.", True)

    async def close(self) -> None: ...
