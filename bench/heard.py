"""When sound was heard: what every bench's caller knows of what reached it."""

from __future__ import annotations

import asyncio
import time
from array import array


class Heard:
    """The moments of ``time.monotonic`` at which sound began to be heard, in their order."""

    def __init__(self) -> None:
        self.sound_s = array("d")
        self.last_sound_s = 0.0
        self._news = asyncio.Event()

    @property
    def over_s(self) -> float:
        """When all that has come so far is over."""
        return self.last_sound_s

    def heard(self, from_s: float, until_s: float = 0.0) -> None:
        """``last_sound_s`` is then ``until_s``, where that is known."""
        self.sound_s.append(from_s)
        self.last_sound_s = until_s or from_s
        self._news.set()

    async def sound_after(self, moment_s: float, limit_s: float) -> float | None:
        """When the first sound after that moment was heard; None if there was none in time."""
        try:
            async with asyncio.timeout(limit_s):
                while (heard_s := self._first_after(moment_s)) is None:
                    self._news.clear()
                    await self._news.wait()
                return heard_s
        except TimeoutError:
            return None

    async def quiet_for(self, pause_s: float, limit_s: float) -> bool:
        """Wait until nothing has been heard for ``pause_s``; False if it never fell silent."""
        end_s = time.monotonic() + limit_s
        while (now_s := time.monotonic()) < end_s:
            rest_s = self.over_s + pause_s - now_s
            if rest_s <= 0:
                return True
            await asyncio.sleep(rest_s)
        return False

    def _first_after(self, moment_s: float) -> float | None:
        found = None
        for heard_s in reversed(self.sound_s):
            if heard_s <= moment_s:
                break
            found = heard_s
        return found
