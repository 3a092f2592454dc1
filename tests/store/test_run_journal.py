"""What befalls a tool's run is kept, whatever happens to the database or to us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from parley.core.errors import StoreFailed
from parley.settings import Settings
from parley.store import journal as journals
from parley.store.opening import Store, open_store
from parley.store.records import ToolRunEnd, ToolRunRecord
from parley.store.run_journal import RunJournal, RunOwner
from parley.store.tool_runs import CUT_OFF, ToolRunShelf
from tests.store.test_tool_runs import ANSWERED, RUN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tool-runs"


@pytest.fixture
async def store(settings: Settings) -> AsyncGenerator[Store]:
    async with open_store(settings) as store:
        yield store


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class MovedShelf(ToolRunShelf):
    """A shelf whose database is away until ``is_there``."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.tool_runs._database)
        self.is_there = False
        self.has_taken = asyncio.Event()

    async def began(self, run: ToolRunRecord) -> None:
        if not self.is_there:
            raise StoreFailed("It is away.")
        await super().began(run)
        self.has_taken.set()


def soon(run: ToolRunRecord = RUN) -> ToolRunRecord:
    return replace(run, expires_at=datetime.now(UTC) + timedelta(hours=1))


async def test_what_is_noted_gets_into_the_database(store: Store, folder: Path) -> None:
    async with RunJournal(store.tool_runs, folder) as journal:
        journal.note(soon())
        journal.note(RunOwner("run_1", "acme"))
        journal.note(ANSWERED)
        await journal.settled()

        kept = await store.tool_runs.get("run_1")

    assert kept is not None
    assert (kept.state, kept.answer, kept.owner) == ("answered", '{"booked":true}', "acme")
    assert left_in(folder) == []


async def test_what_is_noted_while_the_database_is_away_comes_later(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RETRY_S", 0.01)
    shelf = MovedShelf(store)
    async with RunJournal(shelf, folder) as journal:
        journal.note(soon())
        await journal.settled()
        before = await store.tool_runs.get("run_1")
        journal.note(ANSWERED)
        shelf.is_there = True
        await shelf.has_taken.wait()
        await journal.settled()
        after = await store.tool_runs.get("run_1")

    assert before is None
    assert after is not None and after.state == "answered"


async def test_what_a_killed_process_had_noted_is_taken_over(store: Store, folder: Path) -> None:
    away = MovedShelf(store)
    killed = RunJournal(away, folder)
    async with killed:
        killed.note(soon())
        async with RunJournal(store.tool_runs, folder) as meanwhile:
            await meanwhile.settled()
            of_the_living = await store.tool_runs.get("run_1")
    (left,) = left_in(folder)
    with left.open("a") as stream:
        stream.write('{"ended": {"id": "ru')

    async with RunJournal(store.tool_runs, folder) as heir:
        await heir.settled()
        kept = await store.tool_runs.get("run_1")

    assert of_the_living is None
    assert kept is not None and kept.state == "open"
    assert left_in(folder) == []


async def test_runs_of_processes_that_are_gone_are_closed(store: Store, folder: Path) -> None:
    await store.tool_runs.began(RUN)

    async with RunJournal(store.tool_runs, folder):
        pass
    kept = await store.tool_runs.get("run_1")

    assert kept is not None
    assert (kept.state, kept.error_code) == ("failed", CUT_OFF)


async def test_an_entry_that_no_database_takes_holds_up_no_other(
    store: Store, folder: Path
) -> None:
    async with RunJournal(store.tool_runs, folder) as journal:
        journal.note(replace(soon(), id="run_0", tool="\ud800"))
        journal.note(soon())
        journal.note(replace(ANSWERED, state="failed", error="Broke."))
        await journal.settled()
    runs = await store.tool_runs.of("acme")

    assert [(run.id, run.error) for run in runs] == [("run_1", "Broke.")]


async def test_a_folder_that_cannot_be_used_costs_no_run(store: Store) -> None:
    folder = Path("/dev/null/tool-runs")

    async with RunJournal(store.tool_runs, folder) as journal:
        journal.note(soon())
        journal.note(ToolRunEnd("run_1", "cancelled", RUN.started_at, 5))
    kept = await store.tool_runs.get("run_1")

    assert kept is not None and kept.state == "cancelled"
