"""The end of a speech processor, which no interruption may take along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def outlast_interruption(stopping: Awaitable[None]) -> None:
    """Await Pipecat's ``stop``, which waits until all that was said has been played.

    An interruption cancels the task that plays, and with it whoever waits for that: nothing is
    left to be heard then, and the end of the pipeline must get through all the same.
    """
    try:
        await stopping
    except asyncio.CancelledError:
        running = asyncio.current_task()
        if running is None or running.cancelling():
            raise
