"""Opens everything that knows who may do what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from parley.access.caller import MinuteLimits
from parley.access.client_secrets import ClientSecrets
from parley.access.guard import DoorRules, Guard
from parley.access.keys import KeyDesk
from parley.access.ledger import Ledger
from parley.access.old_spool import carry_over
from parley.access.origins import Origins
from parley.access.rates import Rates, open_rates
from parley.access.ring import KeyRing
from parley.settings import Settings, is_loopback
from parley.store.opening import Store, open_store
from parley.store.usage_journal import UsageJournal


@dataclass(frozen=True)
class Access:
    """Who is asking and what they may.

    ``guard`` knows callers, and ``rustpbx_guard`` those of the RustPBX listener; ``ledger`` has
    quotas, ``secrets`` makes client secrets, ``keys`` keys, ``origins`` are the sites whose pages
    may call.
    """

    guard: Guard
    rustpbx_guard: Guard
    ledger: Ledger
    rates: Rates
    secrets: ClientSecrets
    keys: KeyDesk
    ring: KeyRing
    origins: Origins


@asynccontextmanager
async def open_access(settings: Settings, store: Store) -> AsyncGenerator[Access]:
    """Open it over the store."""
    origins = Origins(settings.cors_origins)
    rates = await open_rates(settings.redis_url or "", offers=settings.rate_offers)
    rules = DoorRules(
        opens_locally=is_loopback(settings.server_host),
        opens_to_all="web" in settings.allow_anonymous,
        origins=tuple(origins.trusted),
        limits=MinuteLimits(
            requests=settings.rate_requests,
            audio_s=settings.rate_audio_s,
            tokens=settings.rate_tokens,
        ),
    )
    secrets = ClientSecrets()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(rates.close)
        ring = await stack.enter_async_context(KeyRing(store))
        settings.require_safe_listener(has_keys=ring.has_keys)
        settings.require_safe_rustpbx(has_keys=ring.has_keys)
        usage = UsageJournal(store.usage, settings.data_dir / "usage")
        journal = await stack.enter_async_context(usage)
        carry_over(settings.data_dir, journal)
        ledger = await stack.enter_async_context(Ledger(store.usage, ring, rates, journal))
        guard = Guard(ring, secrets, rates, rules)
        for_rustpbx = replace(
            rules,
            opens_locally=is_loopback(settings.rustpbx_host),
            opens_to_all="rustpbx" in settings.allow_anonymous,
        )
        rustpbx_guard = Guard(ring, secrets, rates, for_rustpbx)
        keys = KeyDesk(store.keys)
        yield Access(guard, rustpbx_guard, ledger, rates, secrets, keys, ring, origins)


async def has_keys(settings: Settings) -> bool:
    """Whether a key was ever made."""
    async with open_store(settings) as store:
        return bool(await store.keys.all())
