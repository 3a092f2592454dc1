"""However many reserve at once, in threads or processes, no limit is overshot."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from parley.settings import Settings
from parley.store.opening import open_store
from parley.store.records import Amounts, Limits, ReservationRecord, Short

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def make_tenant(folder: Path, limits: Limits, url: str | None = None) -> None:
    async with open_store(Settings(data_dir=folder, database_url=url)) as store:
        await store.tenants.add("acme")
        await store.tenants.set_limits("acme", limits)


def reserve_all(folder: Path, url: str | None, who: int, wanted: list[int]) -> list[int]:
    """What one process or thread, with a database connection of its own, is granted."""
    return asyncio.run(_reserve_all(Settings(data_dir=folder, database_url=url), who, wanted))


async def _reserve_all(settings: Settings, who: int, wanted: list[int]) -> list[int]:
    async with open_store(settings) as store:
        granted = await asyncio.gather(
            *(
                store.usage.reserve(
                    ReservationRecord(
                        f"{who}-{number}",
                        "acme",
                        "call",
                        NOON,
                        NOON + timedelta(minutes=1),
                        Amounts(tokens=tokens),
                    )
                )
                for number, tokens in enumerate(wanted)
            )
        )
    return [amounts.tokens for amounts in granted if not isinstance(amounts, Short)]


def race(
    executor: Executor, folder: Path, wanted: list[list[int]], url: str | None = None
) -> list[int]:
    racing = [
        executor.submit(reserve_all, folder, url, who, each) for who, each in enumerate(wanted)
    ]
    return [tokens for done in racing for tokens in done.result()]


# Feature: access, Property: a quota or a limit on calls is never overshot by a race
@examples(max_examples=25, deadline=None)
@given(
    wanted=st.lists(st.lists(st.integers(0, 40), max_size=6), min_size=2, max_size=4),
    tokens_day=st.integers(1, 200),
    calls=st.integers(1, 12),
)
def test_threads_never_overshoot_a_limit_and_waste_none_of_it(
    wanted: list[list[int]], tokens_day: int, calls: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as threads:
        asyncio.run(make_tenant(Path(folder), Limits(tokens_day=tokens_day, calls=calls)))

        granted = race(threads, Path(folder), wanted)

    everything = [tokens for each in wanted for tokens in each]
    assert sum(granted) <= tokens_day
    assert len(granted) <= calls
    if sum(everything) <= tokens_day:
        assert len(granted) == min(calls, len(everything))


def test_processes_never_overshoot_a_limit(tmp_path: Path) -> None:
    asyncio.run(make_tenant(tmp_path, Limits(tokens_day=100, calls=30)))

    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as processes:
        granted = race(processes, tmp_path, [[7] * 20] * 3)

    assert sum(granted) == 98


def test_servers_that_share_a_postgresql_database_never_overshoot_a_limit(
    tmp_path: Path, postgres_url: str
) -> None:
    asyncio.run(make_tenant(tmp_path, Limits(tokens_day=100, calls=30), postgres_url))

    with ThreadPoolExecutor(4) as threads:
        granted = race(threads, tmp_path, [[7] * 10] * 4, postgres_url)

    assert sum(granted) == 98


def test_servers_that_start_together_make_the_tables_once(
    tmp_path: Path, postgres_url: str
) -> None:
    for url in (None, postgres_url):
        with ThreadPoolExecutor(4) as threads:
            granted = race(threads, tmp_path, [[1]] * 4, url)

        assert granted == [1] * 4
