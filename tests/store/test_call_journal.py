"""What is said in calls is kept while the database is away, and once."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from parley.core.events import Event
from parley.settings import Settings
from parley.store import database, journal
from parley.store.call_journal import CallJournal
from parley.store.call_writer import CallWriter
from parley.store.opening import Store, open_store
from parley.store.records import CallRecord, TurnRecord
from tests.store.test_call_writer import CALL, EVENTS

TURNS = [
    ("agent", "Hello, this is Parley."),
    ("user", "When do you open?"),
    ("agent", "At nine"),
    ("user", "Bye."),
    ("agent", "Goodbye!"),
]
TOOLS = ["book", "clock", "book"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture(autouse=True)
def nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 10)
    monkeypatch.setattr(journal, "RETRY_S", 0.01)


@contextmanager
def locked(settings: Settings) -> Generator[None]:
    """Another program holds the file."""
    other = sqlite3.connect(settings.data_dir / "parley.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def full_disk() -> TextIOWrapper:
    return Path("/dev/full").open("a", encoding="utf-8")


async def happens(calls: CallJournal, events: Sequence[Event] = EVENTS) -> None:
    writer = CallWriter(calls.note)
    for event in events:
        await writer.listen(event)
    await calls.settled()


async def kept(store: Store) -> tuple[list[tuple[str, str]], list[str], str]:
    call = await store.calls.get("acme", "call_1")
    turns = await store.calls.turns("acme", "call_1")
    uses = await store.calls.tool_uses("acme", "call_1")
    said = [(turn.role, turn.text) for turn in turns]
    return said, [use.tool for use in uses], call.reason if call else "not there"


async def test_a_call_while_the_database_is_locked_is_kept_when_it_is_back(
    settings: Settings, folder: Path
) -> None:
    async with open_store(settings) as store:
        async with CallJournal(store.calls, folder) as calls:
            with locked(settings):
                await happens(calls)
                meanwhile = await kept(store)
        after = await kept(store)

    assert meanwhile == ([], [], "not there")
    assert after == (TURNS, TOOLS, "caller")
    assert left_in(folder) == []


async def test_a_call_outlives_the_process_that_could_not_write_it(
    settings: Settings, folder: Path
) -> None:
    async with open_store(settings) as store:
        with locked(settings):
            async with CallJournal(store.calls, folder) as calls:
                await happens(calls)

    async with open_store(settings) as store:
        async with CallJournal(store.calls, folder):
            pass
        after = await kept(store)

    assert after == (TURNS, TOOLS, "caller")
    assert left_in(folder) == []


async def test_what_was_written_just_before_a_kill_is_not_written_again(
    settings: Settings, folder: Path
) -> None:
    async with open_store(settings) as store:
        async with CallJournal(store.calls, folder) as calls:
            with locked(settings):
                await happens(calls)
                (file,) = left_in(folder)
                not_emptied = file.with_stem("calls-killed")
                shutil.copy(file, not_emptied)
        async with CallJournal(store.calls, folder):
            pass
        after = await kept(store)

    assert left_in(folder) == []
    assert after == (TURNS, TOOLS, "caller")


async def test_what_is_too_much_is_lost_and_told(settings: Settings, folder: Path) -> None:
    with capture_logs() as logs:
        async with open_store(settings) as store:
            async with CallJournal(store.calls, folder, most=3) as calls:
                with locked(settings):
                    await happens(calls)
            after = await kept(store)

    told = [line for line in logs if line["event"].startswith(("journal_full", "journal_entries"))]
    assert after == (TURNS[:2], [], "")
    assert [(line["event"], line.get("most") or line["entries"]) for line in told] == [
        ("journal_full", 3),
        ("journal_entries_lost", 7),
    ]


async def test_what_the_database_will_never_take_holds_up_nothing(
    store: Store, folder: Path
) -> None:
    begun = CallRecord.of(CALL)
    async with CallJournal(store.calls, folder) as calls:
        calls.note(TurnRecord("call_0", "user", "Of no call.", begun.started_at))
        calls.note(replace(begun, id="0" * 100))
        calls.note(begun)
        calls.note(TurnRecord("call_1", "user", "Hello?", begun.started_at))
        await calls.settled()
        after = await kept(store)

    assert after == ([("user", "Hello?")], [], "")


async def test_a_full_disk_costs_nothing_while_the_database_is_there(
    settings: Settings, folder: Path
) -> None:
    async with open_store(settings) as store:
        async with CallJournal(store.calls, folder) as calls:
            assert calls._file.stream is not None
            calls._file.stream.close()
            calls._file.stream = full_disk()
            await happens(calls, EVENTS[:5])
            first = await kept(store)
            await happens(calls, EVENTS[5:])
        after = await kept(store)

    assert first == (TURNS[:2], [], "")
    assert after == (TURNS, TOOLS, "caller")
