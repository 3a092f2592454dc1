"""Whether the caller is there: awaited, here, lost for a while, or gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from parley.core.call import EndReason
from parley.core.errors import ConnectFailed
from parley.core.log import get_logger
from parley.transports.webrtc.options import WebRtcOptions

log = get_logger(__name__)

_HINT = "The browser must reach this server over UDP: open the port range, or set up a TURN server."


@dataclass(slots=True)
class _Pulse:
    """When something last came from the caller, told by a count of packets that must grow."""

    packets: int
    at_s: float


class Presence:
    """What is known of the caller. ``tick`` is to be called about once a second."""

    def __init__(self, options: WebRtcOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._connect_by_s = clock() + options.connect_timeout_s
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._end: EndReason = "error"
        self._pulse = _Pulse(0, clock())
        self._lost_since_s: float | None = None

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    @property
    def was_connected(self) -> bool:
        return self._connected.is_set()

    @property
    def is_lost(self) -> bool:
        return self._lost_since_s is not None

    async def connected(self) -> None:
        """Return when the caller is here for the first time; raise ``ConnectFailed`` if never."""
        await self._connected.wait()
        if self.is_over and self._end == "error":
            raise ConnectFailed("The browser's connection didn't come about.", hint=_HINT)

    async def gone(self) -> EndReason:
        await self._over.wait()
        return self._end

    def arrived(self) -> None:
        """A connection is up: the first, or one that replaces a lost one."""
        if self._lost_since_s is not None:
            log.info("caller_back", lost_s=round(self._clock() - self._lost_since_s, 1))
        self._pulse = _Pulse(0, self._clock())
        self._lost_since_s = None
        self._connected.set()

    def lost(self) -> None:
        """Nothing is heard of the caller; they have the grace to come back."""
        if not self.is_lost and not self.is_over:
            log.warning("caller_lost", grace_s=self._options.reconnect_grace_s)
            self._lost_since_s = self._clock()

    def leave(self, reason: EndReason) -> None:
        """The caller is gone for good. The first reason counts."""
        if not self.is_over:
            self._end = reason
            self._over.set()
            self._connected.set()

    def tick(self, packets: int) -> None:
        """Look at the clock. ``packets`` counts what has come over the present connection."""
        now_s = self._clock()
        if not self.was_connected:
            if now_s >= self._connect_by_s:
                log.warning("connect_timeout", after_s=self._options.connect_timeout_s)
                self.leave("error")
            return
        if packets != self._pulse.packets:
            self._pulse = _Pulse(packets, now_s)
            if self.is_lost:
                self.arrived()
        elif now_s - self._pulse.at_s >= self._options.lost_after_s:
            self.lost()
        away_s = now_s - self._lost_since_s if self._lost_since_s is not None else 0.0
        if self.is_lost and away_s >= self._options.reconnect_grace_s:
            self.leave("error")
