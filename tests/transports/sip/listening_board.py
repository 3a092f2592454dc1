"""What every board of the tests has: a fake house, and an ear for what happens in its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from parley.core.events import Event
from parley.session.control import SessionControl
from parley.session.host import SessionHost

PATIENCE_S = 15


@dataclass(kw_only=True)
class ListeningBoard:
    """``events`` are those of all calls of ``host``; ``note`` is what the house tells them to."""

    host: SessionHost
    events: list[Event] = field(default_factory=list[Event])
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    async def note(self, event: Event) -> None:
        self.events.append(event)
        self.happened.set()

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def count(self, name: str) -> int:
        return self.names().count(name)

    async def until(self, name: str, times: int = 1) -> Any:
        """The event of that name, the ``times``th one."""
        async with asyncio.timeout(PATIENCE_S):
            while self.count(name) < times:
                self.happened.clear()
                await self.happened.wait()
        return [event for event in self.events if event.name == name][times - 1]

    async def control(self) -> SessionControl:
        control = self.host.find((await self.until("media_started")).call_id)
        assert control is not None
        return control


class Notes:
    """A listener that a house can be given before there is a board."""

    def __init__(self) -> None:
        self.board: ListeningBoard | None = None

    async def note(self, event: Event) -> None:
        assert self.board is not None
        await self.board.note(event)


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Whatever is opened within has ended its tasks when it is over."""
    before = asyncio.all_tasks()
    yield
    left = [t for t in asyncio.all_tasks() - before if t is not asyncio.current_task()]
    assert not left, left
