"""What one tenant's tools do to a service concerns no other tenant: breakers and connections."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from parley.core.breaker import Breaker
from parley.tools.webhook.line import MOST_CONNECTIONS

MOST_BREAKERS = 2000
SHARE = MOST_CONNECTIONS // 2
"""So many requests of one tenant may be under way: the others' connections are not its own."""


@dataclass(slots=True)
class _Places:
    free: asyncio.Semaphore
    users: int = 0


class Lanes:
    """One lane for each tenant. Where there are too many breakers, the one goes that was asked the
    longest ago: it forgets that its service is dead, and learns it again."""

    def __init__(self, *, share: int = SHARE, most_breakers: int = MOST_BREAKERS) -> None:
        self._share = share
        self._most_breakers = most_breakers
        self._breakers: OrderedDict[tuple[str, str], Breaker] = OrderedDict()
        self._places: dict[str, _Places] = {}

    def breakers(self, whose: str, target: str) -> tuple[Breaker, Breaker]:
        """The destination's and the URL's, as that tenant knows them."""
        return self._breaker(whose, _origin(target)), self._breaker(whose, target)

    @asynccontextmanager
    async def place(self, whose: str, within_s: float) -> AsyncGenerator[bool]:
        """``async with lanes.place(…) as has_one``: room for one more request of that tenant,
        unless there is none for so long."""
        places = self._places.setdefault(whose, _Places(asyncio.Semaphore(self._share)))
        places.users += 1
        try:
            has_one = await _taken(places.free, within_s)
            try:
                yield has_one
            finally:
                if has_one:
                    places.free.release()
        finally:
            places.users -= 1
            if not places.users:
                del self._places[whose]

    def _breaker(self, whose: str, name: str) -> Breaker:
        found = self._breakers.setdefault((whose, name), Breaker())
        self._breakers.move_to_end((whose, name))
        if len(self._breakers) > self._most_breakers:
            self._breakers.popitem(last=False)
        return found


async def _taken(free: asyncio.Semaphore, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await free.acquire()
    except TimeoutError:
        return False
    return True


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
