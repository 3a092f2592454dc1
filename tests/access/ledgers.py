"""Ledgers of the tests, and what they ask of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from parley.access.caller import Caller
from parley.access.ledger import Ledger
from parley.access.rates import open_rates
from parley.access.ring import KeyRing
from parley.core.call import CallInfo
from parley.store.opening import Store
from parley.store.records import Amounts, Limits
from parley.store.usage import Usage
from parley.store.usage_journal import UsageJournal

ACME = Caller(tenant="acme", key_id="key_1")


def call() -> CallInfo:
    return CallInfo(agent="receptionist", transport="webrtc", tenant="acme")


async def used(store: Store) -> Amounts:
    return (await store.usage.of("acme", datetime.now(UTC)))[0]


async def limit(store: Store, limits: Limits) -> None:
    await store.tenants.set_limits("acme", limits)


@asynccontextmanager
async def opened(store: Store, folder: Path, usage: Usage | None = None) -> AsyncGenerator[Ledger]:
    """A ledger with a journal in the folder, over the store or over ``usage``."""
    charged = usage or store.usage
    rates = await open_rates("", offers=0)
    async with (
        KeyRing(store) as ring,
        UsageJournal(charged, folder / "usage") as journal,
        Ledger(charged, ring, rates, journal) as ledger,
    ):
        yield ledger
