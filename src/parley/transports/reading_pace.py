"""How fast a WebSocket is read: as fast as anybody speaks, so that no flood drowns other calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from parley.transports.rate import Rate

MESSAGES_PER_S = 500.0
"""Ten times what a telephone makes: who was held up catches up."""
PAUSE_S = 0.02
BYTES_PER_S = 1024 * 1024
"""Eight times what the widest form of a voice takes. Large messages are few, and the more work."""


class ReadingPace:
    """Await ``turn`` between two messages."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = Rate(MESSAGES_PER_S, clock)
        self._owed_bytes = 0.0
        self._seen_s = clock()

    async def turn(self, size: int) -> None:
        """Return when the next message may be read; the last had ``size`` bytes or characters."""
        # Messages that are there already come without a pause; others' calls want their turn.
        await asyncio.sleep(0)
        if (wait_s := self.wait_s(size)) > 0:
            await asyncio.sleep(wait_s)

    def wait_s(self, size: int) -> float:
        """How long to read nothing. One second's worth of bytes may come at once."""
        now_s = self._clock()
        paid = (now_s - self._seen_s) * BYTES_PER_S
        self._owed_bytes, self._seen_s = max(0.0, self._owed_bytes - paid) + size, now_s
        too_much = (self._owed_bytes - BYTES_PER_S) / BYTES_PER_S
        return max(too_much, 0.0 if self._rate.take() else PAUSE_S)
