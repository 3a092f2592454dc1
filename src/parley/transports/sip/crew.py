"""The tasks that a part of the telephone has begun, and that it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from parley.core.log import get_logger

log = get_logger(__name__)


class Crew:
    """Keeps tasks until they are done; ``close`` ends those that are not."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sip_task_failed", task=task.get_name(), exc_info=error)

    async def finish(self, limit_s: float) -> None:
        """Let what is going come to its end, for so long."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=limit_s)

    async def close(self) -> None:
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
