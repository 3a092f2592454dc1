"""Tokens on their way from a generating thread to the event loop."""

from __future__ import annotations

import asyncio
from typing import Any


class TokenQueue:
    """``take_step`` is CTranslate2's callback, called in the thread: true stops the generation."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: asyncio.Queue[int | Exception | None] = asyncio.Queue()
        self._is_closed = False

    def take_step(self, step: Any) -> bool:
        return self._is_closed or not self._put(int(step.token_id))

    def end(self, error: Exception | None = None) -> None:
        """Called in the thread when no token follows."""
        self._put(error)

    def close(self) -> None:
        """Nobody wants more."""
        self._is_closed = True

    async def get(self) -> int | None:
        """The next token's id, or None at the end; raises what the thread ran into."""
        arrived = await self._arrived.get()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def _put(self, item: int | Exception | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)
        except RuntimeError:  # the loop is closed: its caller is gone
            return False
        return True
