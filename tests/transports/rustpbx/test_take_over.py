"""Who may carry a live call on over another socket, and who may come into a prepared room."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from parley.access.caller import Caller
from parley.session.turns import Listening
from parley.transports.rustpbx.door import PATH
from tests.transports.rustpbx.house import MUTE, pbx_house, status_of

SECRETS = {"ek_1", "ek_2"}


async def by_name(connection: HTTPConnection) -> Caller:
    """A guard for whom ``?key=`` is who somebody is; some of them are client secrets."""
    query = connection.query_params
    shown, tenant = query.get("key", ""), query.get("tenant", "default")
    secret = shown if shown in SECRETS else ""
    caller = Caller(
        tenant=tenant,
        key_id="pk_1" if secret else shown,
        session={} if secret else None,
        secret=secret,
        address="127.0.0.1",
    )
    connection.scope.setdefault("state", {})["caller"] = caller
    return caller


@pytest.mark.parametrize("who", ["", "pk_1", "ek_1"])
async def test_who_began_a_call_carries_it_on(listening: Listening, who: str):
    async with (
        pbx_house(listening, guard=by_name, agents=[MUTE]) as house,
        house.pbx(f"?key={who}") as older,
        house.pbx(f"?key={who}") as newer,
    ):
        await older.configure("rustpbx_1")
        await newer.configure("rustpbx_1")
        code = await older.over()
        await newer.send("ping", timestamp=1)
        await newer.until("pong")

    assert code == 1000


@pytest.mark.parametrize(
    ("owner", "other"),
    [("pk_1", "pk_2"), ("pk_1", "ek_1"), ("ek_1", "ek_2"), ("ek_1", "pk_1"), ("pk_1", "")],
)
async def test_another_credential_of_the_tenant_takes_no_live_call_over(
    listening: Listening, owner: str, other: str
):
    async with (
        pbx_house(listening, guard=by_name, agents=[MUTE]) as house,
        house.pbx(f"?key={owner}") as older,
        house.pbx(f"?key={other}") as newer,
    ):
        await older.configure("rustpbx_1", system_prompt="The owner's.")
        await newer.send("configure", room_id="rustpbx_1", system_prompt="Another's.")
        error = await newer.until("error")
        code = await newer.over()
        await older.send("ping", timestamp=1)
        await older.until("pong")
        prompt = house.rooms.get("default", "rustpbx_1").system_prompt

    assert (error["code"], code) == (403, 1008)
    assert "another key" in error["message"]
    assert prompt == "The owner's."


async def test_a_socket_in_a_call_of_its_own_takes_no_other_call_over(listening: Listening):
    async with (
        pbx_house(listening, guard=by_name, agents=[MUTE]) as house,
        house.pbx("?key=pk_1") as older,
        house.pbx("?key=ek_1") as newer,
    ):
        await older.configure("rustpbx_1")
        began = await house.until("call_started")
        await newer.socket.send(bytes(640))
        await house.until("call_started", 2)
        await newer.send("configure", room_id="rustpbx_1")
        code = await newer.over()
        ended = await house.until("call_ended")

    assert code == 1008
    assert ended.call_id != began.call_id


async def test_a_url_names_no_live_call(listening: Listening):
    async with (
        pbx_house(listening, guard=by_name, agents=[MUTE]) as house,
        house.pbx("?key=pk_1") as pbx,
    ):
        await pbx.configure("rustpbx_1")
        refused = [
            await status_of(f"{house.address}{PATH}?key={who}&room=rustpbx_1")
            for who in ("pk_1", "pk_2")
        ]
        calls = house.rooms.get("default", "rustpbx_1").calls

    assert refused == [404, 404]
    assert len(calls) == 1


async def test_a_client_secret_comes_into_no_prepared_room(listening: Listening):
    async with pbx_house(listening, guard=by_name, agents=[MUTE]) as house:
        room = house.rooms.create("default", "Front desk", "The combination is 1234.")
        refused = await status_of(f"{house.address}{PATH}?key=ek_1&room={room.id}")
        async with house.pbx("?key=ek_1") as page:
            await page.send("configure", room_id=room.id)
            error = await page.until("error")
            code = await page.over()
        async with house.pbx(f"?key=pk_1&room={room.id}") as pbx:
            await pbx.configure("rustpbx_1")
            joined = room.metadata

    assert (refused, code, error["code"]) == (403, 1008, 403)
    assert joined is not None and len(joined["calls"]) == 1
