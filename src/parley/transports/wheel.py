"""One timer for all calls: a wheel whose slots say whose turn it is to send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from parley.core.log import get_logger

log = get_logger(__name__)

SLOT_MS = 5
SLOTS_PER_S = 1000 // SLOT_MS
# A common multiple of 10, 20, 30, 40 and 60 ms.
_SLOTS = 24
# A loop that was stuck for longer doesn't hurry after the clock: the far side would keep the
# surplus in its buffer and hear everything later for the rest of the call.
_MAX_LATE_SLOTS = 16


class Member(Protocol):
    def turn(self, slot: int) -> None:
        """``slot`` counts the slots of ``SLOT_MS`` since the wheel began."""
        ...


class Wheel:
    """Calls each member in its rhythm, the members spread over the time that there is.

    It turns while it has members. A member that raises is taken off, and disturbs nobody.
    """

    def __init__(self) -> None:
        self.skipped_slots = 0
        """Turns that nobody had because this process was stuck."""
        self._members: list[dict[Member, None]] = [{} for _ in range(_SLOTS)]
        self._places: dict[Member, list[int]] = {}
        self._began_s = 0.0
        self._slot = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._places)

    def join(self, member: Member, period_ms: int) -> None:
        """Give ``member`` a turn every ``period_ms``: 10, 20, 30, 40 or 60."""
        period = period_ms // SLOT_MS
        if period_ms % SLOT_MS or not period or _SLOTS % period:
            raise ValueError(f"The wheel knows no rhythm of {period_ms} ms.")
        self.leave(member)
        start = min(range(period), key=self._crowd_at(period))
        self._places[member] = list(range(start, _SLOTS, period))
        for place in self._places[member]:
            self._members[place][member] = None
        if self._timer is None:
            self._start()

    def leave(self, member: Member) -> None:
        for place in self._places.pop(member, []):
            del self._members[place][member]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _crowd_at(self, period: int) -> Callable[[int], int]:
        def crowd(start: int) -> int:
            return max(len(self._members[place]) for place in range(start, _SLOTS, period))

        return crowd

    def _start(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if not self._began_s:
            self._began_s = now_s
        self._slot = self._slot_at(now_s) + 1
        self._plan()

    def _slot_at(self, now_s: float) -> int:
        return int((now_s - self._began_s) * SLOTS_PER_S)

    def _plan(self) -> None:
        """Wake for the next slot that has somebody in it."""
        if not self._places:
            self._timer = None
            return
        due = self._slot
        while not self._members[due % _SLOTS]:
            due += 1
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._began_s + due / SLOTS_PER_S, self._turn)

    def _turn(self) -> None:
        # Timers of some event loops are a little early.
        current = self._slot_at(asyncio.get_running_loop().time() + SLOT_MS / 4000)
        if current - self._slot > _MAX_LATE_SLOTS:
            self.skipped_slots += current - self._slot
            self._slot = current
        while self._slot <= current:
            slot, self._slot = self._slot, self._slot + 1
            for member in list(self._members[slot % _SLOTS]):
                self._give_turn(member, slot)
        self._plan()

    def _give_turn(self, member: Member, slot: int) -> None:
        if member not in self._places:
            return
        try:
            member.turn(slot)
        except Exception:
            # The wheel turns for all calls: one that breaks must not stop the others.
            log.exception("rtp_turn_failed")
            self.leave(member)
