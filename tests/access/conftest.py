"""An open store, and everything of access over it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from parley.access.opening import Access, open_access
from parley.settings import Settings
from parley.store.opening import Store, open_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, database_url="sqlite://")


@pytest.fixture
async def store(settings: Settings) -> AsyncGenerator[Store]:
    async with open_store(settings) as store:
        yield store


@pytest.fixture
async def acme(store: Store) -> AsyncGenerator[Store]:
    await store.tenants.add("acme")
    yield store


@pytest.fixture
async def access(settings: Settings, store: Store) -> AsyncGenerator[Access]:
    async with open_access(settings, store) as access:
        yield access


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was changed counts at once, not after a second."""
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)
