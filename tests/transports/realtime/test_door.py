"""Who is let in, by which key and under which name; and what the others are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from parley.access.opening import Access, open_access
from parley.engines.spec import Delta, Usage
from parley.session.turns import Listening
from parley.settings import Settings
from parley.store.opening import open_store
from parley.testing.engines import FakeChatter
from tests.session.fakes import agent_with
from tests.transports.realtime.client import check_event
from tests.transports.realtime.house import RealtimeHouse, realtime_house
from tests.transports.realtime.test_endings import Purse


@asynccontextmanager
async def guarded(
    listening: Listening, tmp_path: Path, **changes: Any
) -> AsyncIterator[tuple[RealtimeHouse, Access]]:
    """A house whose door is the real one."""
    settings = Settings(data_dir=tmp_path, database_url="sqlite://", **changes)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        guard = access.guard.require("realtime")
        house = realtime_house(listening, guard=guard, budget=access.rates)
        yield await stack.enter_async_context(house), access


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)


async def greeted(socket: ClientConnection) -> Mapping[str, Any]:
    return check_event(await socket.recv())


async def refusal(url: str, **options: Any) -> tuple[int, Mapping[str, Any], Mapping[str, str]]:
    """Status, error and headers of the answer in the place of a handshake."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, **options):
            pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"")["error"], response.headers


async def test_a_key_opens_and_another_does_not(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, access):
        new = await access.keys.create("test")
        async with house.client(key=new.token) as client:
            session = client.told[0]["session"]
        status, error, headers = await refusal(f"{house.socket_url}?model=gpt-realtime")
        bad = {"authorization": "Bearer pk_wrong"}
        other, _, _ = await refusal(f"{house.socket_url}?model=x", additional_headers=bad)

    assert session["model"] == "gpt-realtime"
    assert (status, error["code"], error["type"]) == (
        401,
        "invalid_api_key",
        "invalid_request_error",
    )
    assert set(error) == {"message", "type", "param", "code"}
    assert headers["x-request-id"].startswith("req_")
    assert other == 401


async def test_a_browser_shows_its_key_in_a_subprotocol(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, access):
        new = await access.keys.create("test")
        offered: Any = ["realtime", f"openai-insecure-api-key.{new.token}"]
        async with connect(f"{house.socket_url}?model=x", subprotocols=offered) as socket:
            answered, event = socket.subprotocol, await greeted(socket)

    assert (answered, event["type"]) == ("realtime", "session.created")


async def test_a_client_without_subprotocols_gets_none(listening: Listening):
    async with (
        realtime_house(listening) as house,
        connect(f"{house.socket_url}?model=x") as socket,
    ):
        await greeted(socket)

    assert socket.subprotocol is None


async def test_another_sites_page_is_not_let_in_without_a_key(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, _):
        url = f"{house.socket_url}?model=x"
        status, _, _ = await refusal(url, origin="https://evil.example")
        async with connect(url, origin="http://localhost:3000") as socket:  # type: ignore[arg-type]
            event = await greeted(socket)

    assert (status, event["type"]) == (401, "session.created")


async def test_a_key_without_the_scope_is_not_let_in(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, access):
        new = await access.keys.create("test", scopes=frozenset({"speech"}))
        shown = {"authorization": f"Bearer {new.token}"}
        status, _, _ = await refusal(f"{house.socket_url}?model=x", additional_headers=shown)

    assert status == 403


async def test_too_many_tries_in_a_minute_are_refused(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path, rate_requests=1) as (house, _):
        async with connect(f"{house.socket_url}?model=x") as socket:
            await greeted(socket)
        status, error, headers = await refusal(f"{house.socket_url}?model=x")

    assert (status, error["code"]) == (429, "rate_limit_exceeded")
    assert int(headers["retry-after"]) >= 1


async def test_an_unknown_agent_is_told_before_the_upgrade(listening: Listening):
    async with realtime_house(listening) as house:
        status, error, _ = await refusal(f"{house.socket_url}?model=agent:nobody")

    assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert house.host.live_calls == 0


async def test_a_full_house_refuses_before_the_upgrade(listening: Listening):
    async with realtime_house(listening, max_calls=1) as house, house.client():
        status, _, headers = await refusal(f"{house.socket_url}?model=x")

    assert status in (429, 503)
    assert "retry-after" in headers


async def test_a_spent_quota_refuses_before_the_upgrade(listening: Listening):
    purse = Purse()
    purse.is_empty = True
    async with realtime_house(listening, admission=purse) as house:
        status, error, _ = await refusal(f"{house.socket_url}?model=x")

    assert (status, error["code"]) == (429, "insufficient_quota")
    assert house.host.live_calls == 0


async def test_an_agent_is_a_model_and_greets(listening: Listening):
    agent = agent_with(name="desk", greeting="Hello there.", instructions="You keep the desk.")
    async with (
        realtime_house(listening, agents=[agent]) as house,
        house.client("agent:desk") as client,
    ):
        greeting = await client.done()
        session = client.told[0]["session"]

    assert greeting["output"][0]["content"][0]["transcript"] == "Hello there."
    assert (session["model"], session["instructions"]) == ("agent:desk", "You keep the desk.")


async def test_any_other_model_is_the_engines_without_the_agent(listening: Listening):
    agent = agent_with(greeting="Hello there.", instructions="You keep the desk.")
    async with realtime_house(listening, agents=[agent]) as house, house.client() as client:
        await client.write("Hello.")
        response = await client.ask()
        session = client.told[0]["session"]

    assert [response["id"]] == [e["response"]["id"] for e in client.all("response.created")]
    assert session["instructions"] == ""
    assert "You keep the desk." not in str(house.asked)


async def test_an_alias_leads_to_an_agent(listening: Listening):
    agents = [agent_with(greeting=""), agent_with(name="desk", greeting="Hello there.")]
    aliases = {"gpt-realtime": "agent:desk"}
    async with (
        realtime_house(listening, agents=agents, aliases=aliases) as house,
        house.client() as client,
    ):
        greeting = await client.done()

    assert greeting["output"][0]["content"][0]["transcript"] == "Hello there."


async def test_what_a_session_uses_counts_for_its_keys_minute_and_is_told(
    listening: Listening, tmp_path: Path
):
    async with guarded(listening, tmp_path, rate_requests=9, rate_tokens=40) as (house, access):
        house.calls.llm = FakeChatter(lambda _: Delta(text="Noon.", usage=Usage(30, 12)))
        new = await access.keys.create("test")
        async with house.client(key=new.token) as client:
            await client.ask()
            told = await client.until("rate_limits.updated")
        status, error, _ = await refusal(
            f"{house.socket_url}?model=gpt-realtime",
            additional_headers={"authorization": f"Bearer {new.token}"},
        )

    types = client.types()
    by_name = {each.pop("name"): each for each in told["rate_limits"]}
    assert types.index("rate_limits.updated") == types.index("response.done") + 1
    assert 0 < by_name["tokens"].pop("reset_seconds") <= 60
    assert by_name["tokens"] == {"limit": 40, "remaining": 0}
    assert by_name["requests"]["remaining"] == 8
    assert (status, error["code"]) == (429, "rate_limit_exceeded")


async def test_a_key_without_limits_is_told_of_none(listening: Listening, tmp_path: Path):
    async with guarded(listening, tmp_path) as (house, access):
        new = await access.keys.create("test")
        async with house.client(key=new.token) as client:
            await client.ask()
            await client.update()

    assert client.all("rate_limits.updated") == []
