"""Tasks that somebody begins and ends: what breaks one is told at once, whoever awaits it later."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from parley.core.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Have it done beside everything else. Whoever calls this must ``end`` the task."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)
    return task


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Stop what is still going on; return when nothing of it does."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def finished(task: asyncio.Task[Any]) -> None:
    """Wait until it is over, however it ends. It is ended with the waiting."""
    try:
        await asyncio.wait([task])
    finally:
        await end(task)


def _tell(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_broke", task=task.get_name(), exc_info=error)
