"""A synthesizer for tests: every word is a tone of its own that lasts a known time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import numpy as np

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import EngineFailed
from parley.engines.spec import SpeechOptions, Status, Voice
from parley.testing.faults import LAST, SOUND, Fault

LEVEL_STEP = 100


class FakeSynthesizer:
    """Speaks the n-th word of a text (from 1) as ``word_ms`` of samples worth ``n * LEVEL_STEP``.

    With ``tells_words`` false it names no words, like most engines. A text that holds
    ``fails_on`` raises ``EngineFailed`` after ``fails_after_words`` words; one that holds
    ``hangs_on`` never gets any further. ``texts`` and ``options`` are what it was asked;
    ``open_iterators`` counts those not yet ended or closed. ``fault`` is what is wrong with it,
    counted in pieces of sound.
    """

    def __init__(
        self,
        *,
        rate_hz: int = 24_000,
        word_ms: int = 200,
        piece_ms: int = 40,
        tells_words: bool = True,
        fails_on: str = "",
        fails_after_words: int = 0,
        hangs_on: str = "",
        fault: Fault | None = None,
    ) -> None:
        self.fault = fault
        self.rate_hz = rate_hz
        self.word_ms = word_ms
        self.piece_ms = piece_ms
        self.tells_words = tells_words
        self.fails_on = fails_on
        self.fails_after_words = fails_after_words
        self.hangs_on = hangs_on
        self.texts: list[str] = []
        self.options: list[SpeechOptions] = []
        self.open_iterators = 0

    async def warm_up(self) -> None:
        return None

    async def check(self) -> Status:
        return Status(True, "fake speech")

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        self.texts.append(text)
        self.options.append(options)
        self.open_iterators += 1
        try:
            if self.hangs_on and self.hangs_on in text:
                await asyncio.Event().wait()
            fault = self.fault or SOUND
            await fault.strike(0)
            words = [] if fault.garbage else text.split()
            given = 0
            for number, word in enumerate(words, start=1):
                if self.fails_on and self.fails_on in text and number > self.fails_after_words:
                    raise EngineFailed("The fake engine broke, as it was told to.")
                behind = "" if number == len(words) else " "
                for piece in self._pieces(number, word + behind):
                    yield piece
                    given += 1
                    await fault.strike(given)
            await fault.strike(LAST)
        finally:
            self.open_iterators -= 1

    def voices(self) -> Sequence[Voice]:
        return (Voice("fake", "Fake voice", "en-us"),)

    async def close(self) -> None:
        return None

    def _pieces(self, number: int, word: str) -> list[Audio]:
        level = np.int16(number * LEVEL_STEP)
        samples = pcm_bytes(self.word_ms, self.rate_hz) // 2
        pcm = np.full(samples, level, np.int16).tobytes()
        size = pcm_bytes(self.piece_ms, self.rate_hz)
        pieces = [Audio(pcm[at : at + size], self.rate_hz) for at in range(0, len(pcm), size)]
        if self.tells_words:
            pieces[-1] = Audio(pieces[-1].pcm, self.rate_hz, word)
        return pieces
