"""Counts the bad keys that come from an address, so that guessing soon gets no answer."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_IN_WINDOW = 20
WINDOW_S = 60.0
MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class _Count:
    since_s: float
    bad: int = 0


class BadKeys:
    """Good keys are never asked here: a thousand bad ones from their address don't slow them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def count(self, address: str) -> int:
        """Note a bad key; 0, or the seconds for which the address had better be silent."""
        now = self._clock()
        network = _network(address)
        count = self._counts.get(network)
        if count is None or now - count.since_s >= WINDOW_S:
            count = self._counts[network] = _Count(now)
        self._counts.move_to_end(network)
        if len(self._counts) > MOST_ADDRESSES:
            self._counts.popitem(last=False)
        count.bad += 1
        if count.bad <= MOST_IN_WINDOW:
            return 0
        return max(1, math.ceil(count.since_s + WINDOW_S - now))


def _network(address: str) -> str:
    """An IPv6 host has a whole /64 to call from."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address
