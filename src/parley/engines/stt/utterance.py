"""The sound of one stretch of speech, on its way to a recogniser."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from parley.core.audio import Audio

# A recogniser that falls this far behind will not catch up within the turn.
BEHIND_LIMIT_MS = 10_000


class Utterance:
    """The sound of one stretch of speech, between the microphone and the recogniser.

    Bounded in milliseconds: when the recogniser falls behind, the oldest sound goes, counted in
    ``dropped_ms``.
    """

    def __init__(self, limit_ms: float = BEHIND_LIMIT_MS) -> None:
        self._limit_ms = limit_ms
        self._waiting: deque[Audio] = deque()
        self._waiting_ms = 0.0
        self._more = asyncio.Event()
        self._is_over = False
        self.is_discarded = False
        self.told = asyncio.Event()
        self.length_ms = 0.0
        self.dropped_ms = 0.0

    def put(self, piece: Audio) -> None:
        self.length_ms += piece.duration_ms
        self._waiting.append(piece)
        self._waiting_ms += piece.duration_ms
        while self._waiting_ms > self._limit_ms:
            lost_ms = self._waiting.popleft().duration_ms
            self._waiting_ms -= lost_ms
            self.dropped_ms += lost_ms
        self._more.set()

    def end(self) -> None:
        self._is_over = True
        self._more.set()

    async def audio(self) -> AsyncIterator[Audio]:
        while True:
            while self._waiting:
                piece = self._waiting.popleft()
                self._waiting_ms -= piece.duration_ms
                yield piece
            if self._is_over:
                return
            self._more.clear()
            await self._more.wait()
