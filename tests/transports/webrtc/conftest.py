"""Towns that clean up after themselves and leave nothing running."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from parley.transports.webrtc.opus import Libopus
from tests.transports.webrtc.callers import Town, make_town


@pytest.fixture
def libopus() -> Libopus:
    return Libopus()


@pytest.fixture
async def town() -> AsyncIterator[Callable[..., Town]]:
    """Makes towns; at the end of the test every task and thread that they began must be gone."""
    tasks = asyncio.all_tasks()
    threads = set(threading.enumerate())
    made: list[Town] = []

    def make(*args: Any, **settings: Any) -> Town:
        made.append(make_town(*args, **settings))
        return made[-1]

    yield make
    for each in made:
        await each.close()
    own = asyncio.current_task()
    left = await settled(tasks | {own} if own else tasks)
    assert not left, left
    assert set(threading.enumerate()) - threads <= executor_threads()
    gc.collect()


async def settled(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """What is left of the tasks begun since, once those in their last steps have taken them:
    aioice notices at its next turn, 20 ms later, that it has been closed."""
    for _ in range(100):
        if not asyncio.all_tasks() - before:
            break
        await asyncio.sleep(0.01)
    return asyncio.all_tasks() - before


def executor_threads() -> set[threading.Thread]:
    """The loop's own pool: aiortc's clients encode there."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")}
