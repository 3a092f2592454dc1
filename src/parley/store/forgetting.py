"""Forgets what is older than the history is to be, a little at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

FORGET_EVERY_S = 3600.0
FOREVER = timedelta(0)


class Shelf(Protocol):
    async def forget(self, before: datetime) -> bool:
        """Delete some of what ended before then; whether there may be more."""
        ...


class Forgetting:
    """Keeps a shelf's history for ``keeps``."""

    def __init__(self, shelf: Shelf, keeps: timedelta) -> None:
        self._shelf = shelf
        self._keeps = keeps
        self._at_s = 0.0 if keeps else float("inf")

    async def tend(self) -> float:
        """Forget some, if it is time; in how many seconds again."""
        now_s = time.monotonic()
        if now_s >= self._at_s:
            self._at_s = now_s + FORGET_EVERY_S
            if await self._shelf.forget(datetime.now(UTC) - self._keeps):
                self._at_s = now_s
        return max(0.0, self._at_s - time.monotonic())
