"""Waits for a user who says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from parley.core.log import get_logger

log = get_logger(__name__)


class IdleTimer:
    """Does something once when nobody has stopped it in time."""

    def __init__(self, expire: Callable[[], Awaitable[None]]) -> None:
        self._expire = expire
        self._waiting: asyncio.Task[None] | None = None

    def start(self, after_s: float) -> None:
        """Wait anew."""
        self.stop()
        self._waiting = asyncio.create_task(self._wait(after_s), name="realtime:idle")

    def stop(self) -> None:
        waiting, self._waiting = self._waiting, None
        # Whoever it woke may well stop it, and goes on.
        if waiting is not None and waiting is not asyncio.current_task():
            waiting.cancel()

    async def _wait(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            await self._expire()
        except Exception:
            # Nobody awaits this task, so nobody else would tell of what went wrong.
            log.exception("realtime_idle_broke")
