"""Calls whose process is gone are over; those of a process that lives are not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path

import pytest

from parley.store.call_journal import GIVE_UP_AFTER, CallJournal
from parley.store.calls import CUT_OFF
from parley.store.journal_file import JournalFile
from parley.store.opening import Store
from parley.store.records import CallEnd, CallRecord, ToolUseRecord, TurnRecord

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
CALL = CallRecord("call_1", "acme", "a", "webrtc", "inbound", "", NOW - 20 * MINUTE)


IN_MEMORY = pytest.mark.parametrize("store", ["memory"], indirect=True)


def left_by_a_kill(folder: Path) -> Path:
    """The folder as it is when its process is killed now."""
    return shutil.copytree(folder, folder.with_name("killed"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "calls").mkdir()
    return tmp_path / "calls"


def left_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def shown(store: Store, call_id: str = "call_1") -> tuple[datetime | None, str, str]:
    call = await store.calls.get("acme", call_id)
    assert call is not None
    return call.ended_at, call.reason, call.detail


async def test_calls_of_a_killed_process_end_at_their_last_sign_and_no_others(
    store: Store, tmp_path: Path
) -> None:
    node, other = tmp_path / "node", tmp_path / "other"
    # Later than the process's own word that its calls live.
    now = datetime.now(UTC)
    said, used = now + 2 * MINUTE, now + 3 * MINUTE
    async with CallJournal(store.calls, node) as killed, CallJournal(store.calls, other) as alive:
        for name in ("call_1", "call_2", "call_3"):
            killed.note(replace(CALL, id=name))
        alive.note(replace(CALL, id="call_4"))
        killed.note(TurnRecord("call_1", "user", "Hello?", said))
        killed.note(TurnRecord("call_2", "user", "Hello?", said))
        killed.note(ToolUseRecord("call_2", "clock", 3, "", used))
        killed.note(CallEnd("call_3", "caller", NOW))
        await killed.settled()
        await alive.settled()
        async with CallJournal(store.calls, left_by_a_kill(node)) as heir:
            await heir.settled()

        assert await shown(store, "call_1") == (said, "error", CUT_OFF)
        assert await shown(store, "call_2") == (used, "error", CUT_OFF)
        assert await shown(store, "call_3") == (NOW, "caller", "")
        assert await shown(store, "call_4") == (None, "", "")


@IN_MEMORY
async def test_a_call_that_never_got_into_the_database_ends_there_all_the_same(
    store: Store, tmp_path: Path
) -> None:
    file = JournalFile(tmp_path / "calls", "calls")
    file.open()
    journal = CallJournal(store.calls, tmp_path)
    file.append([journal._to_line(replace(CALL, process=file.path.stem))])
    file.close(is_done_with=False)

    async with CallJournal(store.calls, tmp_path / "calls"):
        pass

    assert await shown(store) == (CALL.started_at, "error", CUT_OFF)


@IN_MEMORY
async def test_a_process_says_that_its_calls_live(store: Store, tmp_path: Path) -> None:
    async with CallJournal(store.calls, tmp_path / "node") as journal:
        journal.note(CALL)
        await journal.settled()
        async with CallJournal(store.calls, left_by_a_kill(tmp_path / "node")) as heir:
            await heir.settled()
        ended_at, _, _ = await shown(store)

    assert ended_at is not None and ended_at > CALL.started_at + 19 * MINUTE


async def test_a_call_without_a_sign_of_life_is_given_up_and_its_own_server_has_the_last_word(
    store: Store, tmp_path: Path
) -> None:
    long_ago = NOW - GIVE_UP_AFTER - MINUTE
    for name in ("call_1", "call_2"):
        await store.calls.began(replace(CALL, id=name, started_at=long_ago))
    await store.calls.said(TurnRecord("call_2", "user", "I am still here.", NOW - MINUTE))

    async with CallJournal(store.calls, tmp_path):
        pass
    given_up = [await shown(store, name) for name in ("call_1", "call_2")]
    await store.calls.ended("call_1", "agent", NOW)

    assert given_up == [(long_ago, "error", CUT_OFF), (None, "", "")]
    assert await shown(store) == (NOW, "agent", "")


@IN_MEMORY
@pytest.mark.parametrize("left", [b"\0\xff\xfe{\n", b'{"said": []}\n'])
async def test_whatever_a_machine_that_lost_its_power_leaves_nothing_else_is_lost_by_it(
    store: Store, folder: Path, left: bytes
) -> None:
    (folder / "calls-0.jsonl").write_bytes(left)
    (folder / "calls-1.jsonl").mkdir()
    whole = CallJournal(store.calls, folder)._to_line(CALL)
    (folder / "calls-2.jsonl").write_bytes(left + whole.encode())

    async with CallJournal(store.calls, folder):
        pass

    assert await store.calls.get("acme", "call_1") is not None
    assert left_in(folder) == ["calls-1.jsonl"]


@IN_MEMORY
async def test_a_full_disk_costs_nothing_of_what_the_dead_have_left(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: JournalFile, _lines: object) -> TextIOWrapper:
        return Path("/dev/full").open("a", encoding="utf-8")

    line = CallJournal(store.calls, folder)._to_line(CALL)
    (folder / "calls-1.jsonl").write_text(line)
    monkeypatch.setattr(JournalFile, "_make", full)
    journal = CallJournal(store.calls, folder)

    async with journal:
        left = left_in(folder)

    assert left == ["calls-1.jsonl"]
    assert await store.calls.get("acme", "call_1") is not None
