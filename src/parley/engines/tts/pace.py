"""Keeps sound from running ahead of the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Pace:
    """Knows how much of what was sent has not been heard yet, and waits for room.

    Sound is heard from when it is sent, or from when the sound before it ends.
    """

    def __init__(self, max_ahead_ms: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._max_ahead_ms = max_ahead_ms
        self._clock_s = clock_s
        self._heard_until_s = 0.0

    @property
    def ahead_ms(self) -> float:
        """How long it would take until everything sent has been heard."""
        return max(self._heard_until_s - self._clock_s(), 0.0) * 1000

    async def room_for(self, duration_ms: float) -> None:
        """Wait until ``duration_ms`` more of sound stays within the bound."""
        while (excess_ms := self.ahead_ms + duration_ms - self._max_ahead_ms) > 0:
            if self.ahead_ms == 0.0:
                return
            await asyncio.sleep(excess_ms / 1000)

    def sent(self, duration_ms: float) -> None:
        now_s = self._clock_s()
        self._heard_until_s = max(self._heard_until_s, now_s) + duration_ms / 1000

    def reset(self) -> None:
        """What was sent and not heard has been thrown away."""
        self._heard_until_s = 0.0
