"""What is used is charged once, whatever happens to the database or to the process."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parley.access import ledger as ledger_module
from parley.access.old_spool import carry_over
from parley.core.errors import StoreFailed
from parley.store import journal_file
from parley.store.opening import Store
from parley.store.records import Amounts, Limits, ReservationRecord, Settlement, Short
from parley.store.usage import Usage
from parley.store.usage_journal import SoFar, UsageJournal
from tests.access.ledgers import ACME, call, limit, opened, used

# ── when the database is away ────────────────────────────────────────────────────────────────


class AwayUsage(Usage):
    """A database that is gone from a moment on."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.usage._database, store.usage.defaults)
        self.is_away = False

    async def settle(self, due: Settlement) -> None:
        if self.is_away:
            raise StoreFailed("away")
        await super().settle(due)

    async def reserve(
        self, wanted: ReservationRecord, *, takes_less: bool = False
    ) -> Amounts | Short:
        if self.is_away:
            raise StoreFailed("away")
        return await super().reserve(wanted, takes_less=takes_less)


async def test_what_cannot_be_charged_waits_in_a_file_for_the_next_start(
    acme: Store, tmp_path: Path
) -> None:
    usage = AwayUsage(acme)
    async with (
        opened(acme, tmp_path, usage) as ledger,
        ledger.metered(ACME, Amounts(tokens=1)) as meter,
    ):
        meter.use(tokens=42)
        usage.is_away = True
    before = await used(acme)

    async with opened(acme, tmp_path) as ledger:
        await ledger.settled()

    assert before == Amounts()
    assert (await used(acme)).tokens == 42
    assert list((tmp_path / "usage").iterdir()) == []


def left_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


OLD = {"tenant": "acme", "reservation_id": "", "renewed_with": [0, 0, 0]}


async def test_what_an_older_parley_could_not_charge_is_charged_once(
    acme: Store, tmp_path: Path
) -> None:
    line = json.dumps({**OLD, "made_at": datetime.now(UTC).isoformat(), "used": [1, 2, 3]})
    for _ in range(2):
        # Both were read by a process that was killed before it had removed them.
        (tmp_path / "unsettled.jsonl").write_text(line + '\n{"tenant": "ac')
        (tmp_path / "unsettled.4711").write_text(line.replace("[1, 2, 3]", "[5, 5, 5]"))
        async with UsageJournal(acme.usage, tmp_path / "usage") as journal:
            carry_over(tmp_path, journal)

    assert await used(acme) == Amounts(6, 7, 8)
    assert left_in(tmp_path) == ["usage"]


async def test_while_the_database_is_away_only_calls_without_quotas_are_let_in(
    acme: Store, tmp_path: Path
) -> None:
    usage = AwayUsage(acme)
    usage.is_away = True
    async with opened(acme, tmp_path, usage) as ledger:
        held = await ledger.reserve(call())
        await limit(acme, Limits(calls=5))

        with pytest.raises(StoreFailed):
            await ledger.reserve(call())
        usage.is_away = False
        held.settle()


# ── when the process is killed ───────────────────────────────────────────────────────────────


def killed(folder: Path) -> Path:
    """The folder as a process leaves it that is killed at this moment."""
    left = folder.with_name("killed")
    shutil.copytree(folder / "usage", left / "usage")
    return left


@pytest.mark.parametrize("limits", [Limits(), Limits(calls=1, ms_day=10**9, tokens_day=10**6)])
async def test_what_a_killed_process_was_using_is_charged_once_and_its_place_is_free(
    acme: Store, tmp_path: Path, limits: Limits
) -> None:
    await limit(acme, limits)
    folder = tmp_path / "house"
    async with opened(acme, folder) as ledger:
        held = await ledger.reserve(call())
        held.note(tokens=30, characters=5)
        held.note(tokens=12)
        left = killed(folder)
        async with opened(acme, left) as heir:
            await heir.settled()
            charged = await used(acme)
            again = await heir.reserve(call())
        again.settle()
    held.settle()

    assert (charged.tokens, charged.characters) == (42, 5)
    assert (await used(acme)).tokens == 42


async def test_what_is_set_aside_for_a_request_is_free_after_a_kill(
    acme: Store, tmp_path: Path
) -> None:
    await limit(acme, Limits(tokens_day=100))
    folder = tmp_path / "house"
    async with (
        opened(acme, folder) as ledger,
        ledger.metered(ACME, Amounts(tokens=80)),
        opened(acme, killed(folder)) as heir,
    ):
        await heir.settled()
        async with heir.metered(ACME, Amounts(tokens=100)) as meter:
            meter.use(tokens=1)

    assert (await used(acme)).tokens == 1


async def test_how_far_a_call_is_gets_on_disk_while_nothing_happens_in_it(
    acme: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "NOTED_EVERY_S", 0.02)
    told, told_again = UsageJournal.note_so_far, asyncio.Event()
    lines: list[str] = []

    def note_so_far(journal: UsageJournal, entries: Iterable[SoFar]) -> None:
        told(journal, entries)
        lines[:] = journal._file.path.read_text().splitlines()
        if len(lines) > 2:
            told_again.set()

    monkeypatch.setattr(UsageJournal, "note_so_far", note_so_far)
    async with opened(acme, tmp_path) as ledger:
        await ledger.reserve(call())
        await told_again.wait()

    first, *_, last = (json.loads(line)["so_far"]["used"]["ms"] for line in lines)
    assert last > first


async def test_a_long_call_does_not_fill_the_disk(
    acme: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "LONG_BYTES", 1000)
    folder = tmp_path / "house"
    async with opened(acme, folder) as ledger:
        quiet, busy = await ledger.reserve(call()), await ledger.reserve(call())
        quiet.note(tokens=1)
        for _ in range(100):
            busy.note(tokens=1)
        sizes = [file.stat().st_size for file in (folder / "usage").iterdir()]
        async with opened(acme, killed(folder)) as heir:
            await heir.settled()
            charged = await used(acme)

    assert len(sizes) == 1 and sizes[0] < 1500
    assert charged.tokens == 101


async def test_a_charge_whose_process_was_killed_before_it_knew_of_it_is_made_once(
    acme: Store, tmp_path: Path
) -> None:
    usage, folder = AwayUsage(acme), tmp_path / "house"
    async with opened(acme, folder, usage) as ledger:
        held = await ledger.reserve(call())
        held.note(tokens=7)
        usage.is_away = True
        held.settle()
        await ledger.settled()
        left = killed(folder)
        usage.is_away = False
    first = await used(acme)
    async with opened(acme, left) as heir:
        await heir.settled()

    assert first.tokens == 7
    assert await used(acme) == first


async def test_a_long_call_does_not_fill_the_disk_while_the_database_is_away(
    acme: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "LONG_BYTES", 1000)
    usage, folder = AwayUsage(acme), tmp_path / "house"
    usage.is_away = True
    async with opened(acme, folder, usage) as ledger:
        over, live = await ledger.reserve(call()), await ledger.reserve(call())
        over.note(tokens=1)
        over.settle()
        for _ in range(100):
            live.note(tokens=1)
        sizes = [file.stat().st_size for file in (folder / "usage").iterdir()]
        async with opened(acme, killed(folder)) as heir:
            await heir.settled()
            charged = await used(acme)

    assert len(sizes) == 1 and sizes[0] < 3000
    assert charged.tokens == 101
