"""The door: who comes in without a key, who with one, and who never."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import pytest

from parley.access import ring as ring_module
from parley.access.caller import CLOSED_SCOPES, SCOPES, MinuteLimits, Scope
from parley.access.credentials import Credentials
from parley.access.opening import Access, has_keys, open_access
from parley.core.errors import BadSettings, Forbidden, RateLimited, Unauthorized
from parley.settings import Settings
from parley.store.opening import Store, open_store

HERE = Credentials(address="127.0.0.1", is_local=True)
ELSEWHERE = Credentials(address="203.0.113.9")


def showing(token: str, *, at: str = "203.0.113.9") -> Credentials:
    return Credentials(token, at)


@asynccontextmanager
async def opened(settings: Settings, **changes: object) -> AsyncGenerator[Access]:
    async with AsyncExitStack() as stack:
        changed = settings.model_copy(update=changes)
        store = await stack.enter_async_context(open_store(changed))
        yield await stack.enter_async_context(open_access(changed, store))


# ── without a key ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", "sk-whatever", "pk_unknown"])
async def test_this_machine_needs_no_key_and_may_send_any(access: Access, token: str) -> None:
    caller = await access.guard.admit(Credentials(token, "127.0.0.1", True), "speech", "calls")

    assert (caller.tenant, caller.key_id) == ("default", "")


@pytest.mark.parametrize("scope", sorted(CLOSED_SCOPES))
async def test_closed_scopes_stay_closed_without_a_key_even_here(
    access: Access, scope: Scope
) -> None:
    with pytest.raises(Unauthorized, match=f"keys create --name NAME --scopes {scope}"):
        await access.guard.admit(HERE, scope)


async def test_what_only_seems_to_be_this_machine_needs_a_key(access: Access) -> None:
    with pytest.raises(Unauthorized, match="not through a proxy"):
        await access.guard.admit(Credentials(address="127.0.0.1", is_local=False))


async def test_consent_opens_the_door_to_all_and_what_is_closed_stays_so(
    settings: Settings,
) -> None:
    public = {"server_host": "0.0.0.0", "allow_anonymous": ("web",)}
    async with opened(settings, **public) as access:
        caller = await access.guard.admit(ELSEWHERE, "speech")

        with pytest.raises(Unauthorized):
            await access.guard.admit(ELSEWHERE, "admin")

    assert caller.tenant == "default"


async def test_a_public_listener_opens_with_a_key_or_not_at_all(settings: Settings) -> None:
    with pytest.raises(BadSettings, match="parley keys create"):
        async with opened(settings, server_host="0.0.0.0"):
            pass

    async with open_store(settings) as store, open_access(settings, store) as access:
        await access.keys.create("web")
        public = settings.model_copy(update={"server_host": "0.0.0.0"})
        async with open_access(public, store) as access:
            with pytest.raises(Unauthorized):
                await access.guard.admit(ELSEWHERE)


async def test_whether_keys_exist_is_known_without_a_server(settings: Settings) -> None:
    in_file = settings.model_copy(update={"database_url": None})
    before = await has_keys(in_file)
    async with opened(in_file) as access:
        await access.keys.create("web")

    assert (before, await has_keys(in_file)) == (False, True)


# ── with keys ────────────────────────────────────────────────────────────────────────────────


async def test_once_a_key_exists_everybody_needs_one(access: Access) -> None:
    made = await access.keys.create("web", tenant="acme")

    caller = await access.guard.admit(showing(made.token), "speech")

    assert (caller.tenant, caller.key_id) == ("acme", made.record.id)
    with pytest.raises(Unauthorized, match="needs a key"):
        await access.guard.admit(HERE)
    with pytest.raises(Unauthorized, match="unknown"):
        await access.guard.admit(Credentials("sk-dummy", "127.0.0.1", True))


@pytest.mark.parametrize(
    "mangle",
    [
        lambda token: token[:-1],
        lambda token: token + "x",
        lambda token: token[:11],
        lambda token: token.swapcase(),
        lambda token: "pk_",
        lambda token: "pk_ÄÖÜ☎",
    ],
)
async def test_almost_a_key_is_none(access: Access, mangle: object) -> None:
    made = await access.keys.create("web")

    with pytest.raises(Unauthorized):
        await access.guard.admit(showing(mangle(made.token)))  # type: ignore[operator]


async def test_a_key_may_do_what_it_was_made_for(access: Access) -> None:
    made = await access.keys.create("ears", scopes=["transcribe", "metrics"])

    await access.guard.admit(showing(made.token), "transcribe", "metrics")

    for scope in set(SCOPES) - {"transcribe", "metrics"}:
        with pytest.raises(Forbidden, match=scope):
            await access.guard.admit(showing(made.token), scope)


async def test_a_revoked_key_opens_nothing_and_leaves_the_door_shut(access: Access) -> None:
    made = await access.keys.create("web")
    await access.guard.admit(showing(made.token))

    await access.keys.revoke("web")

    with pytest.raises(Unauthorized):
        await access.guard.admit(showing(made.token))
    with pytest.raises(Unauthorized):
        await access.guard.admit(HERE)


async def test_when_the_last_key_is_forgotten_this_machine_needs_none_again(
    access: Access,
) -> None:
    await access.keys.create("web")

    await access.keys.forget("web")

    assert (await access.guard.admit(HERE)).tenant == "default"


async def test_a_key_ends_when_it_expires(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_access(settings, store) as access:
        made = await access.keys.create("web", lifetime=timedelta(hours=1))
        await access.guard.admit(showing(made.token))
        late = datetime.now(made.record.created_at.tzinfo) + timedelta(hours=2)

        monkeypatch.setattr(access.ring, "_now", lambda: late)

        with pytest.raises(Unauthorized, match="expired"):
            await access.guard.admit(showing(made.token))


async def test_a_keys_own_limits_beat_the_settings(settings: Settings) -> None:
    async with opened(settings, rate_requests=5, rate_tokens=7) as access:
        made = await access.keys.create("web", limits=MinuteLimits(9, -1, 0))

        caller = await access.guard.admit(showing(made.token))

    assert caller.limits == MinuteLimits(requests=9, audio_s=0, tokens=0)


async def test_the_last_use_is_written_when_the_house_closes(settings: Settings) -> None:
    in_file = settings.model_copy(update={"database_url": None})
    async with opened(in_file) as access:
        made = await access.keys.create("web")
        await access.guard.admit(showing(made.token))

    async with opened(in_file) as access:
        kept = await access.keys.find("web")

    assert kept.last_used_at is not None


async def test_use_is_written_once_in_a_while_and_not_with_each_request(
    access: Access, store: Store
) -> None:
    made = await access.keys.create("web")
    changes_before = await store.keys.all()

    for _ in range(100):
        await access.guard.admit(showing(made.token))

    assert await store.keys.all() == changes_before


async def test_known_keys_go_on_counting_while_the_database_is_away(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await access.keys.create("web")
    await access.guard.admit(showing(made.token))

    async def away() -> str:
        raise ring_module.ParleyError("away")

    monkeypatch.setattr(access.ring._store.keys, "newest_change", away)

    assert (await access.guard.admit(showing(made.token))).key_id == made.record.id


# ── bad keys ─────────────────────────────────────────────────────────────────────────────────


async def test_a_hundred_bad_keys_are_throttled_and_good_ones_from_there_are_not(
    access: Access,
) -> None:
    made = await access.keys.create("web")
    answers: list[type[Exception]] = []
    for number in range(100):
        with pytest.raises((Unauthorized, RateLimited)) as refused:
            await access.guard.admit(showing(f"pk_{number:051}"))
        answers.append(refused.type)

    caller = await access.guard.admit(showing(made.token))

    assert answers == [Unauthorized] * 20 + [RateLimited] * 80
    assert caller.key_id == made.record.id


async def test_bad_keys_of_one_address_are_not_held_against_another(access: Access) -> None:
    await access.keys.create("web")
    for _ in range(30):
        with pytest.raises((Unauthorized, RateLimited)):
            await access.guard.admit(showing("pk_bad"))

    with pytest.raises(Unauthorized):
        await access.guard.admit(showing("pk_bad", at="203.0.113.10"))


async def test_bad_keys_reach_the_database_twenty_times_a_second_at_most(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await access.keys.create("web")
    await access.ring.freshen()
    monkeypatch.setattr(ring_module, "FRESH_S", 3600.0)
    monkeypatch.setattr(ring_module, "FRESH_FOR_STRANGERS_S", 3600.0)
    monkeypatch.setattr(access.ring, "_store", None)

    with pytest.raises(Unauthorized):
        await access.guard.admit(showing("pk_bad"))


async def test_a_key_made_a_moment_ago_is_known_when_it_is_first_shown(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await access.guard.admit(showing((await access.keys.create("first")).token))
    monkeypatch.setattr(ring_module, "FRESH_S", 3600.0)
    monkeypatch.setattr(ring_module, "FRESH_FOR_STRANGERS_S", 0.0)
    made = await access.keys.create("second")

    caller = await access.guard.admit(showing(made.token))

    assert caller.key_id == made.record.id


# ── client secrets ───────────────────────────────────────────────────────────────────────────


async def test_a_client_secret_brings_tenant_key_and_session_and_little_else(
    access: Access,
) -> None:
    made = await access.keys.create("web", tenant="acme")
    asker = await access.guard.admit(showing(made.token))

    secret = access.secrets.issue(asker, {"type": "realtime"}, lifetime_s=60)
    callers = [await access.guard.admit(showing(secret.value), "realtime") for _ in range(3)]

    assert secret.value.startswith("ek_")
    assert {caller.key_id for caller in callers} == {made.record.id}
    assert callers[0].tenant == "acme"
    assert callers[0].session == {"type": "realtime"}
    with pytest.raises(Forbidden):
        await access.guard.admit(showing(secret.value), "chat")


async def test_a_client_secret_dies_with_its_key(access: Access) -> None:
    made = await access.keys.create("web")
    secret = access.secrets.issue(await access.guard.admit(showing(made.token)), {})

    await access.keys.revoke("web")

    with pytest.raises(Unauthorized):
        await access.guard.admit(showing(secret.value))


async def test_a_secret_made_without_a_key_dies_when_a_key_is_made(access: Access) -> None:
    secret = access.secrets.issue(await access.guard.admit(HERE), {})
    await access.guard.admit(showing(secret.value), "realtime")

    await access.keys.create("web")

    with pytest.raises(Unauthorized):
        await access.guard.admit(showing(secret.value), "realtime")


async def test_an_unknown_client_secret_opens_nothing_even_here(access: Access) -> None:
    with pytest.raises(Unauthorized):
        await access.guard.admit(Credentials("ek_unknown", "127.0.0.1", True))
