"""What is older than the history is to be goes, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from parley.store import calls, tool_runs
from parley.store.call_journal import CallJournal
from parley.store.opening import Store
from parley.store.records import CallRecord, ToolRunRecord, ToolUseRecord, TurnRecord
from parley.store.run_journal import RunJournal

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CALL = CallRecord("old", "acme", "a", "webrtc", "inbound", "", NOW - 40 * DAY)
RUN = ToolRunRecord("alone", "acme", "turn_1", "a", "book", NOW - 40 * DAY, NOW - 39 * DAY)


@pytest.fixture
async def full(store: Store) -> Store:
    """Calls that ended 31 and 29 days ago, one that goes on, and runs in two of them and alone."""
    ends = {"old": NOW - 31 * DAY, "older": NOW - 32 * DAY, "young": NOW - 29 * DAY}
    for name in (*ends, "live"):
        await store.calls.began(replace(CALL, id=name))
        await store.calls.said(TurnRecord(name, "user", "Hello?", NOW - DAY))
        await store.calls.used(ToolUseRecord(name, "book", 3, "", NOW))
        if name in ends:
            await store.calls.ended(name, "caller", ends[name])
    for name in ("old", "young"):
        await store.tool_runs.began(replace(RUN, id=f"run_{name}", call_id=name))
    await store.tool_runs.began(RUN)
    await store.tool_runs.began(replace(RUN, id="late", started_at=NOW - 29 * DAY))
    return store


async def left_in(store: Store) -> tuple[set[str], set[str], int]:
    kept = {call.id for call in await store.calls.of("acme")}
    runs = {run.id for run in await store.tool_runs.of("acme")}
    async with store.calls._database.read() as connection:
        found = await connection.execute(calls.TURNS.select())
        return kept, runs, len(found.all())


async def test_what_is_older_than_the_history_goes_with_all_that_is_known_of_it(
    full: Store, tmp_path: Path
) -> None:
    async with (
        CallJournal(full.calls, tmp_path / "calls", keeps=30 * DAY),
        RunJournal(full.tool_runs, tmp_path / "runs", keeps=30 * DAY),
    ):
        pass

    assert await left_in(full) == ({"young", "live"}, {"run_young", "late"}, 2)


async def test_the_oldest_go_first_and_few_at_a_time(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "FORGOTTEN_AT_ONCE", 1)
    monkeypatch.setattr(tool_runs, "FORGOTTEN_AT_ONCE", 1)

    are_more = [await full.calls.forget(NOW - 30 * DAY), await full.tool_runs.forget(NOW)]

    assert are_more == [True, True]
    assert await left_in(full) == ({"old", "young", "live"}, {"run_old", "run_young", "late"}, 3)


async def test_without_a_setting_everything_stays(full: Store, tmp_path: Path) -> None:
    before = await left_in(full)

    async with (
        CallJournal(full.calls, tmp_path / "calls"),
        RunJournal(full.tool_runs, tmp_path / "runs"),
    ):
        pass

    assert await left_in(full) == before
