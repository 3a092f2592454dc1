"""How many sockets and calls of PBXes there may be: one count over both ports and all protocols."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from parley.core.call import CallInfo
from parley.core.errors import CallLimitReached, RateLimited
from parley.session.control import SessionControl
from parley.session.host import Place
from parley.session.media import CallMedia
from parley.transports.rate import Rate
from parley.transports.rustpbx.options import RustPbxOptions

RUSTPBX = "rustpbx"
"""The transport whose calls another socket may carry on."""


class Host(Protocol):
    """What a socket needs of the session: ``SessionHost`` is one."""

    def admit(self, call: CallInfo) -> Place: ...

    def start(self, place: Place, media: CallMedia) -> SessionControl: ...


class PbxLines:
    """The lines on which PBXes call, and the sockets that they have open."""

    def __init__(self, options: RustPbxOptions | None = None) -> None:
        self.options = options or RustPbxOptions()
        self._busy: dict[str, CallInfo] = {}
        """The calls by id, those of sockets that have not begun theirs among them."""
        self._sockets: Counter[str] = Counter()
        self._rate = Rate(self.options.sockets_per_s, time.monotonic)

    @property
    def sockets(self) -> int:
        """How many are open."""
        return self._sockets.total()

    @contextmanager
    def socket_of(self, address: str) -> Generator[None]:
        """Count a socket for as long as it is open. Raises ``RateLimited``."""
        if self._sockets[address] >= self.options.sockets_per_peer:
            raise RateLimited("That address has too many sockets open.", retry_after_s=1)
        if not self._rate.take():
            raise RateLimited("Too many sockets are opened at once.", retry_after_s=1)
        self._sockets[address] += 1
        try:
            yield
        finally:
            self._sockets[address] -= 1
            if self._sockets[address] <= 0:
                del self._sockets[address]

    def carries_calls_of(self, tenant: str) -> bool:
        """Whether there is a call, or is about to be, that another socket could carry on."""
        calls = self._busy.values()
        return any(call.tenant == tenant and call.transport == RUSTPBX for call in calls)

    async def take(self, host: Host, call: CallInfo) -> Place:
        """A line for the call, and a place that its tenant pays for.

        Raises what ``SessionHost.admit`` and ``Place.reserve`` do. ``give_back`` it, or ``free``
        the line when the call is over.
        """
        most = self.options.max_calls
        if most and len(self._busy) >= most:
            raise CallLimitReached(f"All {most} lines of PBXes are busy.", retry_after_s=5)
        place = host.admit(call)
        self._busy[place.call.id] = place.call
        try:
            await place.reserve()
        except BaseException:
            self.give_back(place)
            raise
        return place

    def give_back(self, place: Place) -> None:
        """No call came of it."""
        self.free(place.call.id)
        place.release()

    def free(self, call_id: str) -> None:
        """The call is over."""
        self._busy.pop(call_id, None)
