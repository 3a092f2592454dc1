"""What can be wrong with an engine, for tests that must hear a reply nevertheless."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

LAST = 1_000_000
"""The number of the result that never comes: a fault that strikes there strikes at the end."""


@dataclass
class Fault:
    """Strikes after ``after`` results: with ``error`` the engine dies, with ``hangs`` it stops
    answering. ``drip_s`` is a pause before every result, ``garbage`` an answer that is none."""

    after: int = 0
    error: Exception | None = None
    hangs: bool = False
    drip_s: float = 0.0
    garbage: bool = False

    async def strike(self, given: int) -> None:
        """Called before the engine's first result and after each."""
        if self.drip_s:
            await asyncio.sleep(self.drip_s)
        if given < self.after:
            return
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()


SOUND = Fault()
"""Nothing is wrong."""
