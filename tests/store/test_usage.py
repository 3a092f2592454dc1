"""Reservations and usage: limits hold, nothing is charged twice, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from parley.settings import Settings
from parley.store.opening import Store, open_store
from parley.store.records import (
    Amounts,
    Limits,
    ReservationKind,
    ReservationRecord,
    Settlement,
    Short,
)
from parley.store.usage import NOTHING

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def reservation(
    name: str,
    amounts: Amounts,
    *,
    tenant: str = "acme",
    kind: ReservationKind = "request",
    at: datetime = NOON,
) -> ReservationRecord:
    return ReservationRecord(name, tenant, kind, at, at + MINUTE, amounts)


def settled(held: ReservationRecord, used: Amounts, renewed_with: Amounts = NOTHING) -> Settlement:
    return Settlement(held.id, held.tenant, held.made_at, used, renewed_with)


async def with_limits(store: Store, limits: Limits) -> None:
    await store.tenants.add("acme")
    await store.tenants.set_limits("acme", limits)


async def test_without_limits_everything_is_granted(store: Store) -> None:
    granted = await store.usage.reserve(reservation("a", Amounts(10**9, 10**9, 10**9)))

    assert granted == Amounts(10**9, 10**9, 10**9)


async def test_what_is_reserved_is_not_there_for_others_until_it_is_settled(store: Store) -> None:
    await with_limits(store, Limits(tokens_day=100))
    first = reservation("a", Amounts(tokens=80))
    await store.usage.reserve(first)

    refused = await store.usage.reserve(reservation("b", Amounts(tokens=30)))
    await store.usage.settle(settled(first, Amounts(tokens=20)))
    granted = await store.usage.reserve(reservation("c", Amounts(tokens=80)))

    assert refused == Short("tokens", "day", 100)
    assert granted == Amounts(tokens=80)


async def test_a_day_is_renewed_while_its_month_goes_on(store: Store) -> None:
    await with_limits(store, Limits(characters_day=10, characters_month=15))
    await store.usage.settle(Settlement("z", "acme", NOON, Amounts(characters=10)))
    tomorrow = NOON + timedelta(days=1)

    today = await store.usage.reserve(reservation("a", Amounts(characters=1)))
    ten = await store.usage.reserve(reservation("b", Amounts(characters=10), at=tomorrow))
    five = await store.usage.reserve(reservation("c", Amounts(characters=5), at=tomorrow))

    assert today == Short("characters", "day", 10)
    assert ten == Short("characters", "month", 15)
    assert five == Amounts(characters=5)


async def test_a_call_takes_what_is_left(store: Store) -> None:
    await with_limits(store, Limits(ms_day=1000))

    first = await store.usage.reserve(reservation("a", Amounts(ms=700)), takes_less=True)
    second = await store.usage.reserve(reservation("b", Amounts(ms=700)), takes_less=True)
    third = await store.usage.reserve(reservation("c", Amounts(ms=700)), takes_less=True)

    assert (first, second) == (Amounts(ms=700), Amounts(ms=300))
    assert third == Short("ms", "day", 1000)


async def test_a_tenant_has_no_more_calls_at_once_than_it_may(store: Store) -> None:
    await with_limits(store, Limits(calls=1))
    first = reservation("a", Amounts(), kind="call")
    await store.usage.reserve(first)

    refused = await store.usage.reserve(reservation("b", Amounts(), kind="call"))
    request = await store.usage.reserve(reservation("c", Amounts()))
    await store.usage.settle(settled(first, Amounts()))
    admitted = await store.usage.reserve(reservation("d", Amounts(), kind="call"))

    assert refused == Short("calls", "now", 1)
    assert request == admitted == Amounts()


async def test_what_a_dead_process_held_is_free_again_and_what_it_used_is_charged(
    store: Store,
) -> None:
    await with_limits(store, Limits(calls=1, ms_day=100_000))
    held = reservation("a", Amounts(ms=60_000), kind="call")
    await store.usage.reserve(held)
    await store.usage.renew(replace(held, expires_at=NOON + 2 * MINUTE), Amounts(ms=15_000))

    later = reservation("b", Amounts(ms=85_000), kind="call", at=NOON + 3 * MINUTE)
    granted = await store.usage.reserve(later)

    assert granted == Amounts(ms=85_000)
    assert (await store.usage.of("acme", NOON))[0] == Amounts(ms=15_000)


async def test_a_settlement_after_the_sweep_charges_only_the_rest(store: Store) -> None:
    held = reservation("a", Amounts(tokens=100))
    await store.usage.reserve(held)
    await store.usage.renew(held, Amounts(tokens=40))
    await store.usage.reserve(reservation("b", Amounts(), at=NOON + 5 * MINUTE))

    await store.usage.settle(settled(held, Amounts(tokens=70), Amounts(tokens=40)))

    assert (await store.usage.of("acme", NOON))[1] == Amounts(tokens=70)


async def test_renewing_asks_for_more_and_never_loses_what_is_held(store: Store) -> None:
    await with_limits(store, Limits(ms_day=100))
    held = reservation("a", Amounts(ms=60))
    await store.usage.reserve(held)
    await store.usage.reserve(reservation("b", Amounts(ms=30)))

    more = await store.usage.renew(replace(held, amounts=Amounts(ms=90)), Amounts(ms=50))
    await store.tenants.set_limits("acme", Limits(ms_day=10))
    kept = await store.usage.renew(replace(held, amounts=Amounts(ms=90)), Amounts(ms=60))

    assert more == kept == Amounts(ms=70)


async def test_who_was_swept_is_told_so(store: Store) -> None:
    assert await store.usage.renew(reservation("gone", Amounts(ms=1)), Amounts()) is None


@pytest.mark.parametrize(("own", "allowed"), [(None, 5), (0, 10**6), (50, 50)])
async def test_a_tenants_own_limit_beats_the_settings(
    settings: Settings, own: int | None, allowed: int
) -> None:
    async with open_store(settings.model_copy(update={"quota_tokens_day": 5})) as store:
        await with_limits(store, Limits(tokens_day=own))

        granted = await store.usage.reserve(reservation("a", Amounts(tokens=allowed)))

    assert granted == Amounts(tokens=allowed)


async def test_minutes_of_the_settings_are_minutes(settings: Settings) -> None:
    async with open_store(settings.model_copy(update={"quota_minutes_month": 2})) as store:
        granted = await store.usage.reserve(reservation("a", Amounts(ms=120_000)))
        refused = await store.usage.reserve(reservation("b", Amounts(ms=1)))

    assert granted == Amounts(ms=120_000)
    assert refused == Short("ms", "month", 120_000)


async def test_what_is_settled_twice_is_charged_once(store: Store) -> None:
    held = reservation("a", Amounts(tokens=100))
    await store.usage.reserve(held)
    bare = Settlement("no_reservation", "acme", NOON, Amounts(characters=9))

    for due in (settled(held, Amounts(tokens=70), Amounts(tokens=40)), bare):
        await store.usage.settle(due)
        await store.usage.settle(due)

    assert (await store.usage.of("acme", NOON))[0] == Amounts(tokens=70, characters=9)


async def test_of_what_was_told_in_parts_the_last_word_is_charged(store: Store) -> None:
    held = reservation("a", Amounts(tokens=100))
    await store.usage.reserve(held)

    for tokens in (10, 70, 30):
        await store.usage.settle(settled(held, Amounts(tokens=tokens)))

    assert (await store.usage.of("acme", NOON))[0] == Amounts(tokens=70)


async def test_what_was_charged_long_ago_is_forgotten(store: Store) -> None:
    due = Settlement("a", "acme", NOON, Amounts(tokens=5))
    await store.usage.settle(due)
    await store.usage.forget_charges(datetime.now(UTC) - MINUTE)
    await store.usage.settle(due)
    kept = await store.usage.of("acme", NOON)

    await store.usage.forget_charges(datetime.now(UTC) + MINUTE)
    await store.usage.settle(due)

    assert kept[0] == Amounts(tokens=5)
    assert (await store.usage.of("acme", NOON))[0] == Amounts(tokens=10)
