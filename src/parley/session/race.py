"""Several things that can end a call, awaited together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from parley.core.call import EndReason


class Race:
    """Awaits the first of them; what loses is cancelled."""

    def __init__(self, running: asyncio.Task[None]) -> None:
        self._running = running
        self._entered: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Race:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._entered:
            task.cancel()
        await asyncio.gather(*self._entered, return_exceptions=True)

    def enter(self, what: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(what)
        self._entered.add(task)
        return task

    def leave(self, task: asyncio.Task[Any]) -> None:
        self._entered.discard(task)

    async def first(self) -> None:
        await asyncio.wait([self._running, *self._entered], return_when=asyncio.FIRST_COMPLETED)

    def result(self) -> EndReason:
        """The reason of whatever finished; a pipeline that ended by itself is an error."""
        for task in self._entered:
            if task.done():
                return cast(EndReason, task.result())
        return "error"
