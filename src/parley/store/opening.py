"""Opens the store that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from parley.settings import Settings
from parley.store.records import DEFAULT_TENANT, Limits

if TYPE_CHECKING:
    from parley.store.calls import Calls
    from parley.store.database import Database
    from parley.store.keys import Keys
    from parley.store.tenants import Tenants
    from parley.store.tool_runs import ToolRunShelf
    from parley.store.usage import Usage
    from parley.store.webhooks import Webhooks

MS_PER_MINUTE = 60_000


@dataclass(frozen=True)
class Store:
    """Everything that is kept."""

    tenants: Tenants
    keys: Keys
    usage: Usage
    calls: Calls
    tool_runs: ToolRunShelf
    webhooks: Webhooks


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Store]:
    """Open the database, give it today's tables if it lacks them, close it at the end.

    Raises ``StoreFailed`` or ``BadSettings``, which say what to do.
    """
    async with open_database(settings) as database:
        from parley.store.schema import upgrade

        await upgrade(database)
        store = _store(database, default_limits(settings))
        await store.tenants.add(DEFAULT_TENANT)
        yield store


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncGenerator[Database]:
    """The bare database, whatever tables it has."""
    # SQLAlchemy takes a moment to import: the loop goes on meanwhile, and who needs no database
    # (`parley version`) never pays.
    await asyncio.to_thread(import_module, "parley.store.schema")
    from parley.store.database import connect

    database = connect(settings.database_url or "", settings.data_dir)
    try:
        yield database
    finally:
        await database.close()


def _store(database: Database, defaults: Limits) -> Store:
    from parley.store.calls import Calls
    from parley.store.keys import Keys
    from parley.store.tenants import Tenants
    from parley.store.tool_runs import ToolRunShelf
    from parley.store.usage import Usage
    from parley.store.webhooks import Webhooks

    return Store(
        Tenants(database),
        Keys(database),
        Usage(database, defaults),
        Calls(database),
        ToolRunShelf(database),
        Webhooks(database),
    )


def default_limits(settings: Settings) -> Limits:
    """What the settings allow each tenant."""
    return Limits(
        calls=settings.tenant_calls or None,
        ms_day=settings.quota_minutes_day * MS_PER_MINUTE or None,
        ms_month=settings.quota_minutes_month * MS_PER_MINUTE or None,
        tokens_day=settings.quota_tokens_day or None,
        tokens_month=settings.quota_tokens_month or None,
        characters_day=settings.quota_characters_day or None,
        characters_month=settings.quota_characters_month or None,
    )
