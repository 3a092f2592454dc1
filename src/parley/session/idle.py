"""Notices that nobody has said anything for a long time."""

from __future__ import annotations

import asyncio

from parley.core.call import EndReason
from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    CallHeld,
    CallResumed,
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
    """``too_long()`` returns once neither side has done anything for ``idle_s`` (0: never).

    Silence means nothing while the call is on hold, whoever put it there: it may last ``hold_s``.
    """

    def __init__(self, idle_s: float, hold_s: float = 0.0) -> None:
        self._idle_s = idle_s
        self._hold_s = hold_s
        self._sign_of_life = asyncio.Event()
        self._busy = 0
        self._held_by: set[str] = set()

    def note(self, event: Event) -> None:
        """Tell the watch of an event of its call."""
        match event:
            case CallHeld(by=by):
                self._held_by.add(by)
            case CallResumed(by=by):
                self._held_by.discard(by)
            case _ if isinstance(event, _BEGINS):
                self._busy += 1
            case _ if isinstance(event, _ENDS):
                self._busy = max(0, self._busy - 1)
            case UserTranscript():
                pass
            case _:
                return
        self._sign_of_life.set()

    @property
    def is_held_by_caller(self) -> bool:
        """Whether the caller has put the call on hold, and hears nothing."""
        return "caller" in self._held_by

    async def too_long(self) -> EndReason:
        while True:
            self._sign_of_life.clear()
            limit_s = self._hold_s if self._held_by else self._idle_s
            try:
                async with asyncio.timeout(limit_s or None):
                    await self._sign_of_life.wait()
            except TimeoutError:
                # On hold the agent's voice may wait in mid-sentence, and a tool for the caller.
                if self._held_by or not self._busy:
                    return "idle"
