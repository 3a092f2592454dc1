"""Keys: made once, kept as a hash, revoked, rotated, never shown again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from parley.access.caller import CLOSED_SCOPES, OPEN_SCOPES, SCOPES, read_scopes
from parley.access.keys import KeyDesk
from parley.access.ring import KeyRing
from parley.core.errors import BadRequest, NotFound
from parley.store.opening import Store

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(store: Store) -> KeyDesk:
    return KeyDesk(store.keys)


async def test_only_the_hash_and_the_first_letters_are_kept(desk: KeyDesk) -> None:
    made = await desk.create("web")

    kept = (await desk.all())[0]

    assert made.token.startswith("pk_") and len(made.token) >= 3 + 43
    assert kept.digest == hashlib.sha256(made.token.encode()).hexdigest()
    assert made.token.startswith(kept.prefix) and len(kept.prefix) == 11
    assert made.token not in repr(kept)


async def test_a_key_may_do_everything_but_what_is_closed_unless_told(desk: KeyDesk) -> None:
    plain = await desk.create("web")
    admin = await desk.create("admin", scopes=read_scopes(["all"]))

    assert set(plain.record.scopes) == OPEN_SCOPES == set(SCOPES) - CLOSED_SCOPES
    assert set(admin.record.scopes) == set(SCOPES)


def test_a_scope_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(BadRequest, match="speech"):
        read_scopes(["speach"])


async def test_a_name_that_several_good_keys_share_names_none_of_them(desk: KeyDesk) -> None:
    first = await desk.create("web")
    second = await desk.create("web")

    with pytest.raises(BadRequest, match="Several keys"):
        await desk.revoke("web")
    await desk.revoke(first.record.id)

    assert (await desk.find("web")).id == second.record.id


async def test_a_key_that_is_not_there_is_told(desk: KeyDesk) -> None:
    with pytest.raises(NotFound, match="parley keys list"):
        await desk.revoke("nobody")


async def test_after_a_rotation_both_are_good_for_the_overlap(desk: KeyDesk) -> None:
    old = await desk.create("web", tenant="acme", scopes=["chat"])

    new = await desk.rotate("web", overlap=HOUR)

    kept = await desk.find(old.record.id)
    now = datetime.now(UTC)
    assert kept.is_good(now + HOUR / 2) and not kept.is_good(now + 2 * HOUR)
    assert new.record.is_good(now + 2 * HOUR)
    assert new.token != old.token
    assert (new.record.tenant, new.record.scopes) == ("acme", ("chat",))


async def test_an_overlap_never_makes_a_key_live_longer(desk: KeyDesk) -> None:
    old = await desk.create("web", lifetime=HOUR)

    await desk.rotate("web", overlap=timedelta(days=9))

    assert (await desk.find(old.record.id)).expires_at == old.record.expires_at


async def test_what_was_revoked_is_not_rotated(desk: KeyDesk) -> None:
    await desk.create("web")
    await desk.revoke("web")

    with pytest.raises(BadRequest, match="good no more"):
        await desk.rotate("web", overlap=HOUR)


async def test_a_tenant_is_known_once_it_has_a_key_or_a_quota(desk: KeyDesk, store: Store) -> None:
    await desk.create("web", tenant="acme")
    await store.tenants.add("bee")

    async with KeyRing(store) as ring:
        known = [name for name in ("default", "acme", "bee", "web", "") if ring.has_tenant(name)]

    assert known == ["default", "acme", "bee"]
