"""Notices that nobody has said anything for a long time."""

from __future__ import annotations

import asyncio

from parley.core.call import EndReason
from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    Event,
    ToolEnded,
    ToolStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)

_BEGINS = (AgentSpeechStarted, UserSpeechStarted, ToolStarted)
_ENDS = (AgentSpeechStopped, UserSpeechStopped, ToolEnded)


class IdleWatch:
    """``too_long()`` returns once neither side has done anything for ``idle_s`` (0: never)."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._sign_of_life = asyncio.Event()
        self._busy = 0

    def note(self, event: Event) -> None:
        """Tell the watch of an event of its call."""
        if isinstance(event, _BEGINS):
            self._busy += 1
        elif isinstance(event, _ENDS):
            self._busy = max(0, self._busy - 1)
        elif not isinstance(event, UserTranscript):
            return
        self._sign_of_life.set()

    async def too_long(self) -> EndReason:
        limit_s = self._idle_s or None
        while True:
            self._sign_of_life.clear()
            try:
                async with asyncio.timeout(limit_s):
                    await self._sign_of_life.wait()
            except TimeoutError:
                if not self._busy:
                    return "idle"
