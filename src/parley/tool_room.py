"""Opens what tools that live outside need of the store, and who tells the outside of calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from parley.api.event_courier import Courier
from parley.api.event_poster import EventPoster
from parley.settings import Settings
from parley.store.opening import Store
from parley.store.run_journal import RunJournal
from parley.tool_book import StoredSecrets, StoredToolBook
from parley.tools.house import ToolHouse


@dataclass(frozen=True)
class ToolRoom:
    """``book`` is where every run of a tool is written down; ``courier`` tells webhooks."""

    house: ToolHouse
    store: Store
    book: StoredToolBook
    courier: Courier


@asynccontextmanager
async def open_tool_room(
    settings: Settings, store: Store, house: ToolHouse
) -> AsyncGenerator[ToolRoom]:
    """Leaving it delivers what waits, within the limits of each."""
    async with AsyncExitStack() as stack:
        keeps = timedelta(days=settings.history_days)
        journal = RunJournal(store.tool_runs, settings.data_dir / "tool-runs", keeps=keeps)
        book = StoredToolBook(store, await stack.enter_async_context(journal))
        house.connect(book, StoredSecrets(store.tenants))
        poster = EventPoster(house.destinations)
        stack.push_async_callback(poster.close)
        courier = await stack.enter_async_context(Courier(store.webhooks, poster.post))
        yield ToolRoom(house, store, book, courier)
