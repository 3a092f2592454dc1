"""The bus: events go sideways to whoever listens, and a slow listener never delays a call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from parley.core.events import Event
from parley.core.log import get_logger
from parley.core.tasks import begin, end

log = get_logger(__name__)

Listener = Callable[[Event], Awaitable[None]]


@dataclass(eq=False)
class Subscription:
    """One listener's place on the bus: a bounded queue whose oldest event falls out when full."""

    name: str
    listener: Listener
    limit: int
    dropped: int = 0
    waiting: deque[Event] = field(default_factory=deque[Event])
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, event: Event) -> None:
        if len(self.waiting) >= self.limit:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append(event)
        self.idle.clear()
        self.wake.set()

    async def run(self) -> None:
        try:
            while True:
                if not self.waiting:
                    self.idle.set()
                await self.wake.wait()
                self.wake.clear()
                while self.waiting:
                    await self._tell(self.waiting.popleft())
        finally:
            # Nobody needs to wait for a listener that takes no more.
            self.idle.set()

    async def _tell(self, event: Event) -> None:
        try:
            await self.listener(event)
        except Exception as error:
            # What one event did to a listener must not keep the next from it.
            log.error("listener_failed", listener=self.name, bus_event=event.name, error=str(error))


class Bus:
    """Carries events from calls to listeners within this process.

    ``publish`` never waits. Use it as an async context manager: leaving it delivers what is
    queued and ends every listener's task.
    """

    def __init__(self) -> None:
        self._subscriptions: list[tuple[Subscription, asyncio.Task[None]]] = []
        self._leaving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Bus:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            for subscription, task in self._subscriptions:
                if not task.done():
                    # Not "until nothing waits": the last event is still being listened to then.
                    await subscription.idle.wait()
        finally:
            await end(*(task for _, task in self._subscriptions), *self._leaving)
            self._subscriptions.clear()

    def subscribe(self, name: str, listener: Listener, *, limit: int = 10_000) -> Subscription:
        """Call ``listener`` with every event from now on, in order, in a task of its own."""
        subscription = Subscription(name, listener, limit)
        task = begin(subscription.run(), f"bus:{name}")
        self._subscriptions.append((subscription, task))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop calling the listener; what it has not read is gone."""
        for held, task in self._subscriptions:
            if held is subscription:
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)
                task.cancel()
        self._subscriptions = [s for s in self._subscriptions if s[0] is not subscription]

    def publish(self, event: Event) -> None:
        for subscription, _ in self._subscriptions:
            subscription.put(event)
