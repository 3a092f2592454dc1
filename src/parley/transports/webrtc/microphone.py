"""The caller's sound on its way into the pipeline: a short queue that forgets the oldest."""

from __future__ import annotations

import asyncio
from collections import deque

from parley.core.audio import BYTES_PER_SAMPLE

CALLER_RATE_HZ = 16_000
PIECE_MS = 20
PIECE_BYTES = CALLER_RATE_HZ * PIECE_MS // 1000 * BYTES_PER_SAMPLE


class Microphone:
    """Holds at most ``limit_ms`` of mono at ``rate_hz``; more pushes the oldest out, counted.

    Until the first ``get`` it holds ``backlog_ms``: a caller who is connected before the
    pipeline is built loses nothing. For one reader.
    """

    def __init__(
        self, limit_ms: int, backlog_ms: int = 3000, *, rate_hz: int = CALLER_RATE_HZ
    ) -> None:
        self.rate_hz = rate_hz
        self._bytes_per_ms = rate_hz * BYTES_PER_SAMPLE / 1000
        self._limit_ms = limit_ms
        self._allowed_ms = max(backlog_ms, limit_ms)
        self._pieces: deque[bytes] = deque()
        self._held_ms = 0.0
        self._reader: asyncio.Future[None] | None = None
        self._is_off = False
        self.dropped_ms = 0.0
        """All that was ever pushed out."""

    @property
    def held_ms(self) -> float:
        return self._held_ms

    def switch_off(self) -> None:
        """Nobody listens any more: what comes from now on is not missed."""
        self._is_off = True
        self._pieces.clear()
        self._held_ms = 0.0

    def put(self, pcm: bytes) -> None:
        if self._is_off:
            return
        self._pieces.append(pcm)
        self._held_ms += len(pcm) / self._bytes_per_ms
        while self._held_ms > self._allowed_ms:
            lost_ms = len(self._pieces.popleft()) / self._bytes_per_ms
            self._held_ms -= lost_ms
            self.dropped_ms += lost_ms
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> bytes:
        """The next piece, when there is one."""
        self._allowed_ms = self._limit_ms
        while not self._pieces:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        piece = self._pieces.popleft()
        self._held_ms -= len(piece) / self._bytes_per_ms
        return piece
