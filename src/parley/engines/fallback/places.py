"""A bounded queue in front of an engine, fair between tenants."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from parley.core.errors import EngineBusy

WAITING_PER_PLACE = 4
# What a request is taken to last until some have been seen.
USUAL_REQUEST_S = 1.0
# How much the latest request counts in what is usual.
NEWEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Queue:
    """What can be seen of a queue now. The waits are those of requests that got a place."""

    places: int
    busy: int
    waiting: int
    waiting_limit: int
    refused: int
    last_wait_ms: int
    longest_wait_ms: int

    def __str__(self) -> str:
        return f"{self.places} at once, {self.waiting_limit} may wait"

    def and_(self, other: Queue) -> Queue:
        """The two as one."""
        return Queue(
            self.places + other.places,
            self.busy + other.busy,
            self.waiting + other.waiting,
            self.waiting_limit + other.waiting_limit,
            self.refused + other.refused,
            max(self.last_wait_ms, other.last_wait_ms),
            max(self.longest_wait_ms, other.longest_wait_ms),
        )


class Places:
    """Lets ``places`` requests at an engine; ``waiting_limit`` more wait, the rest are refused.

    Whoever's turn it is among the tenants that wait is served next, so that one with a hundred
    requests delays another by one. Nor can one fill the queue for all: when it is full, the
    latest request of the tenant that has most of them gives way to one that has fewer.
    ``clock_s`` gives seconds.
    """

    def __init__(
        self,
        places: int,
        *,
        waiting_limit: int | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.places = places
        self.waiting_limit = places * WAITING_PER_PLACE if waiting_limit is None else waiting_limit
        self._clock_s = clock_s
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._request_s = USUAL_REQUEST_S
        self.busy = 0
        self.depth = 0
        self.refused = 0
        self.last_wait_s = 0.0
        self.longest_wait_s = 0.0

    @property
    def queue(self) -> Queue:
        return Queue(
            self.places,
            self.busy,
            self.depth,
            self.waiting_limit,
            self.refused,
            round(self.last_wait_s * 1000),
            round(self.longest_wait_s * 1000),
        )

    @property
    def expected_wait_s(self) -> float:
        """How long a request that came now would wait, by what requests took lately."""
        if self.busy < self.places:
            return 0.0
        return (self.depth + 1) * self._request_s / self.places

    @asynccontextmanager
    async def taken(self, tenant: str, limit_s: float | None = None) -> AsyncGenerator[None]:
        """Wait for a place and hold it.

        Raises ``EngineBusy`` when the queue is full or has to be given way in, and when
        ``limit_s`` seconds did not do.
        """
        limit = asyncio.timeout(limit_s)
        try:
            async with limit:
                await self._enter(tenant)
        except TimeoutError as error:
            raise self._busy() from error
        began_s = self._clock_s()
        try:
            yield
        finally:
            took_s = self._clock_s() - began_s
            self._request_s += NEWEST_SHARE * (took_s - self._request_s)
            self._leave()

    async def _enter(self, tenant: str) -> None:
        if self.busy < self.places and not self.depth:
            self.busy += 1
            self.last_wait_s = 0.0
            return
        if self.depth >= self.waiting_limit:
            self._make_room_for(tenant)
        came_s = self._clock_s()
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(turn)
        self.depth += 1
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The place was given in the moment in which its taker went away.
                self._leave()
            else:
                self._forget(tenant, turn)
            raise
        self.last_wait_s = self._clock_s() - came_s
        self.longest_wait_s = max(self.longest_wait_s, self.last_wait_s)

    def _make_room_for(self, tenant: str) -> None:
        """Raises ``EngineBusy`` when nobody has clearly more in the queue than this tenant."""
        greediest = max(self._queues.values(), key=len, default=None)
        if greediest is None or len(greediest) <= len(self._queues.get(tenant, ())) + 1:
            raise self._busy()
        turn = greediest.pop()
        self.depth -= 1
        if not turn.done():
            turn.set_exception(self._busy())

    def _busy(self) -> EngineBusy:
        self.refused += 1
        return EngineBusy(
            f"The engine works on {self.busy} requests and {self.depth} more wait.",
            retry_after_s=max(1, math.ceil(self.expected_wait_s)),
        )

    def _leave(self) -> None:
        """Hand the place on to the first of the tenant that has waited longest for a turn."""
        self.busy -= 1
        while self._queues:
            tenant, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[tenant] = queue
            self.depth -= 1
            # Whoever was cancelled just now hasn't left the queue yet.
            if not turn.done():
                self.busy += 1
                turn.set_result(None)
                return

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(tenant)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        if not queue:
            del self._queues[tenant]
        self.depth -= 1
