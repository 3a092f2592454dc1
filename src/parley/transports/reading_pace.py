"""How fast a WebSocket is read: as fast as anybody speaks, so that no flood drowns other calls."""

from __future__ import annotations

import asyncio
import time

from parley.transports.rate import Rate

MESSAGES_PER_S = 500.0
"""Ten times what a telephone makes: who was held up catches up."""
PAUSE_S = 0.02


class ReadingPace:
    """Await ``turn`` between two messages."""

    def __init__(self) -> None:
        self._rate = Rate(MESSAGES_PER_S, time.monotonic)

    async def turn(self) -> None:
        """Return when the next message may be read."""
        # Messages that are there already come without a pause; others' calls want their turn.
        await asyncio.sleep(0)
        if not self._rate.take():
            await asyncio.sleep(PAUSE_S)
