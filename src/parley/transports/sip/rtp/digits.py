"""Keys that are pressed during a call, as RFC 4733 sends them."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from parley.transports.keypad import DIGITS, check_digits

LOST_END_S = 0.1
TONE_MS = 100
GAP_MS = 80
END_PACKETS = 3

_FORM = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 10
_LONGEST = 0xFFFF


class DigitReceiver:
    """Tells each key once, however many packets speak of it and whichever of them are lost."""

    def __init__(self, on_digit: Callable[[str], None]) -> None:
        self._on_digit = on_digit
        self._event = -1
        self._timestamp: int | None = None
        self._duration = 0
        self._is_told = True
        self._heard_s = 0.0

    def take(self, timestamp: int, payload: bytes, now_s: float) -> bool:
        """A telephone-event packet; whether it can be read."""
        if len(payload) < _FORM.size:
            return False
        event, flags, duration = _FORM.unpack_from(payload)
        if self._timestamp != timestamp:
            if self._timestamp is not None and (timestamp - self._timestamp) & 0x80000000:
                # Of a key that has been told already; it came late.
                return True
            self._begin(event, timestamp)
        self._duration = max(self._duration, duration)
        self._heard_s = now_s
        if flags & _END:
            self.finish()
        return True

    def _begin(self, event: int, timestamp: int) -> None:
        is_longer_still = (
            event == self._event
            and self._timestamp is not None
            and self._duration == _LONGEST
            and (timestamp - self._timestamp) & 0xFFFFFFFF == _LONGEST
        )
        if not is_longer_still:
            self.finish()
            self._is_told = event >= len(DIGITS)
        self._event, self._timestamp, self._duration = event, timestamp, 0

    def tick(self, now_s: float) -> None:
        """Tell a key whose end was lost."""
        if not self._is_told and now_s - self._heard_s >= LOST_END_S:
            self.finish()

    def finish(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._on_digit(DIGITS[self._event])

    def forget_stream(self) -> None:
        """The next stream has timestamps of its own."""
        self.finish()
        self._timestamp = None


@dataclass(frozen=True, slots=True)
class DigitPacket:
    payload: bytes
    timestamp: int
    is_first: bool


@dataclass(slots=True)
class _Order:
    digits: deque[str]
    done: asyncio.Future[None]


class DigitSender:
    """Sends keys one after the other, a packet a turn; sound pauses meanwhile."""

    def __init__(self) -> None:
        self._orders: deque[_Order] = deque()
        self._digit = ""
        self._timestamp = 0
        self._duration_ms = 0
        self._ends_left = 0
        self._gap_ms = 0

    @property
    def is_busy(self) -> bool:
        return bool(self._orders)

    async def send(self, digits: str) -> None:
        """Return when they have gone out. Given up, it stops with the key that is down."""
        order = _Order(deque(check_digits(digits)), asyncio.get_running_loop().create_future())
        self._orders.append(order)
        try:
            await order.done
        finally:
            order.digits.clear()

    def give_up(self, error: Exception) -> None:
        """The call is over."""
        while self._orders:
            order = self._orders.popleft()
            if not order.done.done():
                order.done.set_exception(error)

    def turn(self, timestamp: int, step_ms: int, clock_hz: int) -> DigitPacket | None:
        """What to send now; None for the silence between two keys. Only while busy."""
        if self._gap_ms > 0:
            self._gap_ms -= step_ms
            self._finish_orders()
            return None
        if not self._digit:
            self._press(timestamp)
            if not self._digit:
                return None
        is_first = not self._duration_ms
        if not self._ends_left:
            self._duration_ms += step_ms
            if self._duration_ms >= TONE_MS:
                self._ends_left = END_PACKETS
        flags = _VOLUME | (_END if self._ends_left else 0)
        duration = min(self._duration_ms * clock_hz // 1000, _LONGEST)
        payload = _FORM.pack(DIGITS.index(self._digit), flags, duration)
        packet = DigitPacket(payload, self._timestamp, is_first)
        if self._ends_left:
            self._ends_left -= 1
            if not self._ends_left:
                self._digit, self._gap_ms = "", GAP_MS
        return packet

    def _press(self, timestamp: int) -> None:
        self._finish_orders()
        if self._orders:
            self._digit = self._orders[0].digits.popleft()
            self._timestamp, self._duration_ms = timestamp, 0

    def _finish_orders(self) -> None:
        if self._gap_ms > 0:
            return
        while self._orders and not self._orders[0].digits:
            order = self._orders.popleft()
            if not order.done.done():
                order.done.set_result(None)
