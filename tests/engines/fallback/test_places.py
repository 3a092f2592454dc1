"""Who waits for an engine, for how long, and who is refused."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.errors import EngineBusy
from parley.engines.fallback.places import Places
from tests.engines.fallback.chains import Clock


class Work:
    """Requests that hold their place until they are told to go."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.order: list[str] = []
        self._may_go = asyncio.Semaphore(0)

    async def request(self, tenant: str, name: str) -> None:
        async with self.places.taken(tenant):
            self.order.append(name)
            await self._may_go.acquire()

    async def start(self, *names: str) -> list[asyncio.Task[None]]:
        """The tenant is the name's first letter."""
        tasks = [asyncio.create_task(self.request(name[0], name)) for name in names]
        await settle()
        return tasks

    async def finish(self, count: int) -> None:
        for _ in range(count):
            self._may_go.release()
            await settle()


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_tenants_take_turns_however_much_one_of_them_asks():
    work = Work(Places(1, waiting_limit=10))

    tasks = await work.start("a1", "a2", "a3", "a4", "b1", "c1", "b2")
    await work.finish(7)
    await asyncio.gather(*tasks)

    assert work.order == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
    assert (work.places.busy, work.places.depth) == (0, 0)


async def test_who_finds_the_queue_full_is_told_when_to_come_back():
    clock = Clock()
    work = Work(Places(2, waiting_limit=2, clock_s=clock))
    tasks = await work.start("a1", "a2", "a3", "a4")

    with pytest.raises(EngineBusy) as caught:
        await work.request("a", "a5")

    assert caught.value.retry_after_s == 2
    assert (work.places.depth, work.places.refused) == (2, 1)
    clock.now_s = 3.0
    await work.finish(4)
    await asyncio.gather(*tasks)
    assert work.places.longest_wait_s == 3.0


async def test_one_tenant_cannot_fill_the_queue_for_all():
    work = Work(Places(1, waiting_limit=3))
    tasks = await work.start("a1", "a2", "a3", "a4", "b1", "b2")

    await work.finish(4)
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert work.order == ["a1", "a2", "b1", "a3"]
    assert [isinstance(each, EngineBusy) for each in results] == [False] * 3 + [True, False, True]
    assert (work.places.busy, work.places.depth, work.places.refused) == (0, 0, 2)


async def test_who_waits_too_long_leaves_the_queue():
    work = Work(Places(1))
    tasks = await work.start("a1")

    with pytest.raises(EngineBusy):
        async with work.places.taken("b", 0.01):
            pass

    assert work.places.depth == 0
    await work.finish(1)
    await asyncio.gather(*tasks)
    assert work.places.busy == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_no_place_is_lost_whoever_goes_away(requests: list[tuple[str, bool]]):
    async def come_and_go() -> None:
        work = Work(Places(2, waiting_limit=20))
        names = [f"{tenant}{number}" for number, (tenant, _) in enumerate(requests)]
        tasks = await work.start(*names)
        for task, (_, goes_away) in zip(tasks, requests, strict=True):
            if goes_away:
                task.cancel()
        await work.finish(len(requests))
        await asyncio.gather(*tasks, return_exceptions=True)

        assert (work.places.busy, work.places.depth) == (0, 0)
        for task, (_, goes_away) in zip(tasks, requests, strict=True):
            assert task.cancelled() == goes_away

    asyncio.run(come_and_go())
