"""Keys, tenants and calls: what is written is read again, by its owner."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from parley.store.opening import Store
from parley.store.records import CallRecord, KeyRecord, Limits, TurnRecord

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
KEY = KeyRecord("key_1", "acme", "web", "pk_1", "0" * 64, ("speech", "chat"), NOW)
CALL = CallRecord("call_1", "acme", "receptionist", "webrtc", "inbound", "127.0.0.1", NOW)


async def test_a_key_brings_its_tenant_along(store: Store) -> None:
    await store.keys.add(KEY)

    tenants = [tenant.name for tenant in await store.tenants.all()]

    assert tenants == ["acme", "default"]


async def test_a_prefix_belongs_to_one_key(store: Store) -> None:
    await store.keys.add(KEY)

    is_added = await store.keys.add(replace(KEY, id="key_2"))

    assert not is_added
    assert await store.keys.all() == [KEY]


async def test_a_key_is_found_by_id_prefix_and_name(store: Store) -> None:
    await store.keys.add(KEY)

    found = [await store.keys.named(name) for name in ("key_1", "pk_1", "web", "other")]

    assert found == [[KEY], [KEY], [KEY], []]


async def test_every_change_of_keys_and_tenants_shows_and_use_does_not(store: Store) -> None:
    seen = [await store.keys.newest_change()]
    await store.keys.add(KEY)
    seen.append(await store.keys.newest_change())
    await store.keys.expire("key_1", NOW)
    seen.append(await store.keys.newest_change())
    await store.tenants.set_limits("acme", Limits(calls=1))
    seen.append(await store.keys.newest_change())
    await store.keys.used({"key_1": NOW})
    seen.append(await store.keys.newest_change())
    await store.keys.forget("key_1")
    seen.append(await store.keys.newest_change())

    assert seen[3] == seen[4]
    assert len(set(seen)) == 5


async def test_revoking_and_using_are_remembered(store: Store) -> None:
    await store.keys.add(KEY)

    await store.keys.revoke("key_1", NOW)
    await store.keys.used({"key_1": NOW})

    assert await store.keys.all() == [replace(KEY, revoked_at=NOW, last_used_at=NOW)]
    assert not (await store.keys.all())[0].is_good(NOW)


async def test_limits_of_a_tenant_that_is_not_there_are_not_set(store: Store) -> None:
    assert not await store.tenants.set_limits("nobody", Limits(calls=1))


async def test_a_tenant_sees_its_own_calls_and_no_others(store: Store) -> None:
    await store.calls.began(CALL)
    await store.calls.said(TurnRecord("call_1", "user", "Hello?", NOW))
    await store.calls.said(TurnRecord("call_1", "agent", "Hello!", NOW))

    turns = await store.calls.turns("acme", "call_1")

    assert [(turn.role, turn.text) for turn in turns] == [("user", "Hello?"), ("agent", "Hello!")]
    assert await store.calls.of("acme") == [CALL]
    assert await store.calls.get("acme", "call_1") == CALL
    assert await store.calls.of("other") == []
    assert await store.calls.get("other", "call_1") is None
    assert await store.calls.turns("other", "call_1") == []


async def test_calls_come_newest_first_and_page_by_page(store: Store) -> None:
    times = [NOW + timedelta(minutes=minute) for minute in (0, 1, 2, 2, 3)]
    for number, at in enumerate(times):
        await store.calls.began(replace(CALL, id=f"call_{number}", started_at=at))

    first = await store.calls.of("acme", limit=2)
    second = await store.calls.of("acme", limit=2, before=first[-1])

    assert [call.id for call in first + second] == ["call_4", "call_2", "call_3", "call_1"]


async def test_a_call_that_is_over_says_why(store: Store) -> None:
    await store.calls.began(CALL)

    await store.calls.ended("call_1", "quota", NOW)

    assert await store.calls.get("acme", "call_1") == replace(CALL, ended_at=NOW, reason="quota")
