"""Who is let in, by which key, and whose calls and rooms they can reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from parley.access.credentials import Credentials
from parley.access.opening import Access, open_access
from parley.core.errors import NotFound
from parley.core.events import CallStarted
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.opening import open_store
from parley.transports.rustpbx.door import PATH, TOKEN
from tests.transports.rustpbx.house import MUTE, PbxHouse, pbx_house, status_of


@asynccontextmanager
async def guarded(listening: Listening, tmp_path: Path) -> AsyncIterator[tuple[PbxHouse, Access]]:
    """A house whose door is the real one."""
    settings = Settings(data_dir=tmp_path, database_url="sqlite://")
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        guard = access.guard.require("calls", query=TOKEN)
        house = pbx_house(listening, guard=guard, agents=[MUTE], admission=access.ledger)
        yield await stack.enter_async_context(house), access


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)


async def test_without_keys_whoever_is_on_this_machine_is_let_in(
    listening: Listening, tmp_path: Path
):
    async with guarded(listening, tmp_path) as (house, _), house.pbx() as pbx:
        configured = await pbx.configure()

    assert configured["status"] == "success"


async def test_where_there_are_keys_one_must_be_in_the_url(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, access):
        key = (await access.keys.create("pbx")).token
        async with house.pbx(f"/{key}") as by_path:
            await by_path.configure("rustpbx_1")
        async with house.pbx(f"?token={key}&agent=tester") as by_query:
            await by_query.configure("rustpbx_2")
        refused = [
            await status_of(f"{house.address}{PATH}{rest}")
            for rest in ("", "/pk_wrong", "?token=pk_wrong")
        ]

    assert refused == [401, 401, 401]


async def test_a_key_without_the_scope_opens_nothing(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, access):
        key = (await access.keys.create("speaker", scopes=["speech"])).token

        assert await status_of(f"{house.address}{PATH}/{key}") == 403


async def test_a_call_is_carried_on_with_the_very_secret_that_began_it_and_with_no_other(
    listening: Listening, tmp_path: Path
):
    async with guarded(listening, tmp_path) as (house, access):
        key = (await access.keys.create("pbx")).token
        asker = await access.guard.admit(Credentials(key), "realtime")
        mine, other = [access.secrets.issue(asker, {}).value for _ in range(2)]
        async with (
            house.pbx(f"/{mine}") as older,
            house.pbx(f"/{other}") as stranger,
            house.pbx(f"?token={mine}") as newer,
        ):
            await older.configure("rustpbx_1")
            await stranger.send("configure", room_id="rustpbx_1")
            refused = await stranger.over()
            await newer.configure("rustpbx_1")
            replaced = await older.over()

    assert (refused, replaced) == (1008, 1000)


async def test_a_tenant_reaches_no_other_tenants_rooms_or_calls(
    listening: Listening, tmp_path: Path
):
    async with guarded(listening, tmp_path) as (house, access):
        ours = (await access.keys.create("ours", tenant="default")).token
        theirs = (await access.keys.create("theirs", tenant="acme")).token
        room = house.rooms.create("default", "Front desk")
        async with house.pbx(f"/{ours}") as first, house.pbx(f"/{theirs}") as second:
            await first.configure("rustpbx_1")
            await second.configure("rustpbx_1")
            await house.until("call_started", 2)
            refused = await status_of(f"{house.address}{PATH}/{theirs}?room={room.id}")
            await first.send("ping", timestamp=1)
            await first.until("pong")
            with pytest.raises(NotFound):
                house.rooms.get("acme", room.id)

    tenants = {each.call.tenant for each in house.events if isinstance(each, CallStarted)}
    assert refused == 404
    assert tenants == {"default", "acme"}
