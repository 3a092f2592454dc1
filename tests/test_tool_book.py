"""Secrets are known at once and fresh, and what a run is told of fits every database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parley import tool_book
from parley.core.errors import StoreFailed
from parley.settings import Settings
from parley.store.opening import open_store
from parley.store.run_journal import RunJournal
from parley.tool_book import LONGEST_ANSWER, StoredSecrets, StoredToolBook
from parley.tools.book import RunBegan, RunOver


class Shelf:
    """Secrets that change, or can't be had."""

    def __init__(self) -> None:
        self.secret = "first"
        self.is_away = False
        self.hangs = False

    async def secret_of(self, name: str) -> str:
        if self.is_away:
            raise StoreFailed("It is away.")
        if self.hangs:
            await asyncio.Event().wait()
        return f"{name}:{self.secret}"


async def test_a_new_secret_counts_once_the_old_one_is_not_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    secrets = StoredSecrets(shelf)
    known = await secrets.secret_for("acme")
    shelf.secret = "second"
    still = await secrets.secret_for("acme")
    monkeypatch.setattr(tool_book, "SECRET_FRESH_S", 0.0)
    then = await secrets.secret_for("acme")

    assert (known, still, then) == ("acme:first", "acme:first", "acme:second")
    assert await secrets.secret_for("") == "default:second"


@pytest.mark.parametrize("what", ["is_away", "hangs"])
async def test_a_known_secret_is_good_while_the_database_is_away_or_slow(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_book, "SECRET_FRESH_S", 0.0)
    monkeypatch.setattr(tool_book, "REFRESH_LIMIT_S", 0.01)
    shelf = Shelf()
    secrets = StoredSecrets(shelf)
    known = await secrets.secret_for("acme")
    setattr(shelf, what, True)

    assert await secrets.secret_for("acme") == known


async def test_a_secret_that_nobody_knows_yet_can_not_be_had_without_the_database() -> None:
    shelf = Shelf()
    shelf.is_away = True

    with pytest.raises(StoreFailed):
        await StoredSecrets(shelf).secret_for("acme")


async def test_whatever_tools_say_is_kept_in_a_form_that_fits(tmp_path: Path) -> None:
    began = RunBegan(
        "run_1", "", "call\0" * 99, "front", "x" * 500, "", "\ud800", "", {"a": "b" * 20_000}, 1
    )
    over = RunOver("run_1", "answered", 1.5, {"sound": "y" * 20_000, "odd": {1, 2}})
    settings = Settings(data_dir=tmp_path, database_url="sqlite://")
    async with open_store(settings) as store:
        async with RunJournal(store.tool_runs, tmp_path / "tool-runs") as journal:
            book = StoredToolBook(store, journal)
            book.began(began)
            book.ended(over)
        kept = await store.tool_runs.get("run_1")

    assert kept is not None
    assert (kept.tenant, len(kept.call_id), len(kept.tool)) == ("default", 60, 200)
    assert "\0" not in kept.call_id
    assert kept.tool_call_id == "?"
    assert len(kept.answer) == LONGEST_ANSWER and kept.answer.endswith("…")
    assert len(str(kept.arguments)) < 10_000
