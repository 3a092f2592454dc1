"""The ledger: quotas of calls and requests, from reserving to settling."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from parley.access import ledger as ledger_module
from parley.access.caller import Caller, MinuteLimits
from parley.access.opening import Access
from parley.core.errors import CallLimitReached, QuotaExceeded
from parley.session.admission import Admission
from parley.store.opening import Store
from parley.store.records import Amounts, Limits, ReservationRecord, Settlement
from tests.access.ledgers import ACME, call, limit, opened, used


@pytest.fixture
def renewed(acme: Store, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a reservation has been renewed, and the ledger has gone on."""
    renew, done = acme.usage.renew, asyncio.Event()

    async def watched(held: ReservationRecord, used: Amounts) -> Amounts | None:
        granted = await renew(held, used)
        asyncio.get_running_loop().call_soon(done.set)
        return granted

    monkeypatch.setattr(acme.usage, "renew", watched)
    return done


def test_the_ledger_is_an_admission_of_the_session(access: Access) -> None:
    admission: Admission = access.ledger

    assert admission is access.ledger


# ── calls ────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_of_a_tenant_without_limits_reserves_nothing_and_is_charged(
    access: Access, acme: Store
) -> None:
    held = await access.ledger.reserve(call())
    held.note(tokens=5)
    held.note(tokens=2, characters=9)
    reserved = await acme.usage.live("acme")

    held.settle()
    await access.ledger.settled()

    charged = await used(acme)
    assert reserved == 0
    assert (charged.tokens, charged.characters) == (7, 9)
    assert charged.ms >= 0


async def test_one_call_more_than_the_tenant_may_have_is_refused(
    access: Access, acme: Store
) -> None:
    await limit(acme, Limits(calls=2))
    first = await access.ledger.reserve(call())
    await access.ledger.reserve(call())

    with pytest.raises(CallLimitReached, match="2 calls") as refused:
        await access.ledger.reserve(call())
    first.settle()
    await access.ledger.settled()
    await access.ledger.reserve(call())

    assert refused.value.retry_after_s > 0


async def test_a_tenant_whose_minutes_are_used_up_gets_no_call(access: Access, acme: Store) -> None:
    await limit(acme, Limits(ms_day=60_000))
    await acme.usage.settle(Settlement("a", "acme", datetime.now(UTC), Amounts(ms=60_000)))

    with pytest.raises(QuotaExceeded, match="1 minutes of this day") as refused:
        await access.ledger.reserve(call())

    assert refused.value.headers["x-should-retry"] == "false"


async def test_a_call_ends_when_its_tenants_time_is_used_up(access: Access, acme: Store) -> None:
    await limit(acme, Limits(ms_day=100))
    spent = asyncio.Event()
    held = await access.ledger.reserve(call())

    held.when_spent(spent.set)
    await spent.wait()
    held.settle()
    await access.ledger.settled()

    assert (await used(acme)).ms >= 100


async def test_a_call_ends_when_its_tenants_tokens_are_used_up(
    access: Access, acme: Store, renewed: asyncio.Event
) -> None:
    await limit(acme, Limits(tokens_month=5000))
    spent = asyncio.Event()
    held = await access.ledger.reserve(call())
    held.when_spent(spent.set)

    held.note(tokens=4500)
    await renewed.wait()
    is_spent_early = spent.is_set()
    held.note(tokens=500)
    await spent.wait()

    assert not is_spent_early


async def test_who_asks_late_is_told_at_once_that_all_is_spent(access: Access, acme: Store) -> None:
    await limit(acme, Limits(tokens_day=1))
    held = await access.ledger.reserve(call())
    held.note(tokens=1)
    first = asyncio.Event()
    held.when_spent(first.set)
    await first.wait()

    second = asyncio.Event()
    held.when_spent(second.set)

    assert second.is_set()


async def test_a_live_call_is_renewed_and_so_never_swept(
    acme: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renewed: asyncio.Event
) -> None:
    monkeypatch.setattr(ledger_module, "RENEWED_EVERY_S", 0.02)
    await limit(acme, Limits(calls=1))
    async with opened(acme, tmp_path) as ledger:
        held = await ledger.reserve(call())
        assert held.record is not None
        first = held.record.expires_at

        await renewed.wait()

        assert held.record.expires_at > first


async def test_calls_that_nobody_settled_are_settled_when_the_house_closes(
    acme: Store, tmp_path: Path
) -> None:
    await limit(acme, Limits(calls=1))
    async with opened(acme, tmp_path) as ledger:
        held = await ledger.reserve(call())
        held.note(characters=3)

    assert await acme.usage.live("acme") == 0
    assert (await used(acme)).characters == 3


async def test_settling_twice_charges_once(access: Access, acme: Store) -> None:
    held = await access.ledger.reserve(call())
    held.note(tokens=3)

    held.settle()
    held.settle()
    await access.ledger.settled()

    assert (await used(acme)).tokens == 3


# ── requests ─────────────────────────────────────────────────────────────────────────────────


async def test_a_request_is_charged_what_it_used_and_not_what_it_asked_for(
    access: Access, acme: Store
) -> None:
    await limit(acme, Limits(characters_day=100))

    async with access.ledger.metered(ACME, Amounts(characters=80)) as meter:
        with pytest.raises(QuotaExceeded):
            async with access.ledger.metered(ACME, Amounts(characters=30)):
                pass
        meter.use(characters=10)
    await access.ledger.settled()

    assert (await used(acme)).characters == 10
    assert await acme.usage.live("acme") == 0


async def test_a_request_that_fails_before_it_used_anything_costs_nothing(
    access: Access, acme: Store
) -> None:
    await limit(acme, Limits(tokens_day=100))

    with pytest.raises(ZeroDivisionError):
        async with access.ledger.metered(ACME, Amounts(tokens=80)):
            raise ZeroDivisionError
    await access.ledger.settled()

    assert await used(acme) == Amounts()
    assert await acme.usage.live("acme") == 0


async def test_a_request_that_is_cancelled_is_settled_all_the_same(
    access: Access, acme: Store
) -> None:
    await limit(acme, Limits(tokens_day=100))

    with anyio.CancelScope() as scope:
        async with access.ledger.metered(ACME, Amounts(tokens=80)) as meter:
            meter.use(tokens=7, audio_s=1.5)
            scope.cancel()
            await anyio.sleep_forever()
    await access.ledger.settled()

    assert await used(acme) == Amounts(ms=1500, tokens=7)
    assert await acme.usage.live("acme") == 0


async def test_what_a_request_used_counts_for_the_minute_too(access: Access, acme: Store) -> None:
    caller = Caller(tenant="acme", key_id="key_1", limits=MinuteLimits(tokens=10))

    async with access.ledger.metered(caller, Amounts(tokens=1)) as meter:
        meter.use(tokens=10)
    await access.ledger.settled()

    assert (await access.rates.enter(caller)).refusal is not None
