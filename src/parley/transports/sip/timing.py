"""How long SIP waits, and alarms that go off when it has. (RFC 3261, 17 and table 4.)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """``t1_s`` is what a round trip is taken for; everything else follows from it."""

    t1_s: float = 0.5

    @property
    def t2_s(self) -> float:
        """The longest time between two copies of a message."""
        return 8 * self.t1_s

    @property
    def t4_s(self) -> float:
        """How long a message may be on its way."""
        return 10 * self.t1_s

    @property
    def give_up_s(self) -> float:
        """How long an answer or an ACK is waited for."""
        return 64 * self.t1_s


class Alarms:
    """Named timers of one transaction: setting one again moves it, ``clear`` stops all."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._set: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, after_s: float, action: Callable[[], None]) -> None:
        self.stop(name)
        self._set[name] = self._loop.call_later(after_s, action)

    def stop(self, name: str) -> None:
        if (handle := self._set.pop(name, None)) is not None:
            handle.cancel()

    def clear(self) -> None:
        for handle in self._set.values():
            handle.cancel()
        self._set.clear()


class Repeating:
    """Sends something again and again, at intervals that double up to a limit."""

    def __init__(self, alarms: Alarms, send: Callable[[], None], first_s: float, most_s: float):
        self._alarms = alarms
        self._send = send
        self.next_s = first_s
        self.most_s = most_s

    def start(self) -> None:
        self._alarms.set("repeat", self.next_s, self._again)

    def stop(self) -> None:
        self._alarms.stop("repeat")

    def _again(self) -> None:
        self.next_s = min(2 * self.next_s, self.most_s)
        self.start()
        self._send()
