"""Tasks are ended by whoever begins them, and none breaks in silence."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from parley.core.tasks import begin, end, finished


async def test_what_breaks_a_task_is_told_before_anybody_awaits_it() -> None:
    async def broken() -> None:
        raise RuntimeError("the belt has snapped")

    with capture_logs() as told:
        task = begin(broken(), "belt")
        await asyncio.wait([task])

    assert [(line["event"], line["task"]) for line in told] == [("task_broke", "belt")]
    assert str(told[0]["exc_info"]) == "the belt has snapped"


async def test_ended_tasks_are_over_whether_they_had_begun_or_not() -> None:
    class Work:
        has_cleaned = False

        async def __call__(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                self.has_cleaned = True

    work = Work()
    running = begin(work(), "running")
    await asyncio.sleep(0)
    fresh = begin(work(), "fresh")

    with capture_logs() as told:
        await end(running, fresh)

    assert work.has_cleaned
    assert running.cancelled() and fresh.cancelled()
    assert told == []


async def test_waiting_for_a_broken_task_raises_nothing_a_second_time() -> None:
    async def broken() -> None:
        raise RuntimeError("told already")

    task = begin(broken(), "belt")

    await finished(task)

    assert task.done()


async def test_a_task_is_ended_with_the_waiting_for_it() -> None:
    task = begin(asyncio.Event().wait(), "endless")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await finished(task)

    assert task.cancelled()
