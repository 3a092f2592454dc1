"""Tools of real MCP servers: found, used, cancelled, lost and found again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley.core.errors import DestinationRefused, ToolFailed
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse
from parley.tools.mcp.connection import Connection
from parley.tools.mcp.facts import Lost, McpServer, Reply
from parley.tools.spec import Tool, ToolCall
from parley.tools.webhook.credentials import Credentials
from parley.tools.webhook.destinations import Destinations
from tests.tools.actions import FakeActions
from tests.tools.mcp.shop import Shop

pytest.importorskip("mcp", reason="the extra mcp is not installed")


class Desk:
    """An agent's tools, as its calls get them."""

    def __init__(self, house: ToolHouse, **options: Any) -> None:
        self.house = house
        self.catalog = ToolCatalog(house=house)
        self.wish = {"mcp": {"name": "shop", "only": ["*"], **options}}

    def tools(self, **whose: str) -> Sequence[Tool]:
        return self.catalog.tools_for([self.wish], **whose)

    async def settled(self, **whose: str) -> dict[str, Tool]:
        self.tools(**whose)
        while not self.tools(**whose):
            await self.house.settled()
        return {tool.name: tool for tool in self.tools(**whose)}

    async def use(self, tool: str, *, tenant: str = "", **arguments: Any) -> Any:
        found = {each.name: each for each in self.tools(tenant=tenant)}
        return await found[f"shop_{tool}"].run(
            ToolCall("id_1", arguments, FakeActions(), idempotency_key="key_1")
        )


@asynccontextmanager
async def closing(house: ToolHouse) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await house.close()


@asynccontextmanager
async def desk(**options: Any) -> AsyncIterator[Desk]:
    house = ToolHouse(credentials=Credentials(options.pop("secrets", {})))
    async with closing(house):
        yield Desk(house, **options)


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_a_server_is_found_and_used_over_http(transport: str):
    shop = Shop()
    async with (
        shop.serve(sse=transport == "sse") as url,
        desk(url=url, transport=transport) as agent,
    ):
        tools = await agent.settled()

        assert tools["shop_free_times"].description == "Free times of a day."
        assert tools["shop_free_times"].provider == "mcp"
        assert (await agent.use("free_times", day="Monday"))["times"] == ["09:00", "10:30"]


async def test_a_program_is_started_and_gets_secrets_that_do_not_come_back():
    program = {"command": sys.executable, "args": ["-m", "tests.tools.mcp.shop"]}
    env = {"SHOP_KEY": "${TOOL_SHOP}"}
    async with desk(**program, env=env, secrets={"TOOL_SHOP": "very-secret"}) as agent:
        await agent.settled()

        assert (await agent.use("free_times", day="Monday"))["day"] == "Monday"
        assert await agent.use("secret") == "***"
        with pytest.raises(ToolFailed) as failed:
            await agent.use("secret_error")
        assert str(failed.value) == "*** is no good"


async def test_only_what_the_file_lists_is_offered_under_its_prefix():
    async with Shop().serve() as url, desk(url=url, only=["book", "gone"], prefix="") as agent:
        tools = await agent.settled()

        assert list(tools) == ["book"]


async def test_rules_hold_for_single_tools():
    rules = {"book": {"confirms": True, "changes": True, "on_interruption": "finish"}}
    async with Shop().serve() as url, desk(url=url, tools=rules, timeout_s=7) as agent:
        tools = await agent.settled()

        assert (tools["shop_book"].confirms, tools["shop_book"].interruptible) == (True, False)
        assert (tools["shop_picture"].confirms, tools["shop_picture"].timeout_s) == (False, 7)


async def test_the_idempotency_key_is_ours_and_not_the_models():
    shop = Shop()
    async with shop.serve() as url, desk(url=url) as agent:
        tools = await agent.settled()
        await agent.use("book", customer={"name": "Ada"}, time="10:30")

        assert tools["shop_book"].parameters["properties"].keys() == {"customer", "time"}
        assert shop.bookings == [{"who": "Ada", "time": "10:30", "key": "key_1"}]


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("broken", "a problem of its own"),
        ("n8n_error", "calendar backend refused"),
        ("picture", "which I can't read out"),
        ("refusal", "That time is taken."),
        ("huge", "more than I can take in"),
        ("free_times", "day"),
    ],
)
async def test_what_a_server_can_t_do_becomes_a_sentence(tool: str, says: str):
    async with Shop().serve() as url, desk(url=url) as agent:
        await agent.settled()

        with pytest.raises(ToolFailed) as failed:
            await agent.use(tool)

        assert says in str(failed.value)


async def test_progress_is_told_and_cancelling_reaches_the_server():
    shop, told = Shop(), asyncio.Queue[str]()
    async with shop.serve() as url, desk(url=url) as agent:
        slow = (await agent.settled())["shop_slow"]
        running = asyncio.create_task(
            slow.run(ToolCall("id", {}, FakeActions(), progress=told.put))
        )

        says = await told.get()
        await shop.begun.wait()
        running.cancel()
        await shop.cancelled.wait()
        await asyncio.gather(running, return_exceptions=True)

        assert says == "I have found the file."
        assert (await agent.use("envelope"))["price"] == 12


async def test_a_server_that_is_away_is_found_again_and_its_tools_stay_known():
    shop = Shop()
    async with shop.serve() as url:
        connection = connected(url, back_within_s=0.5)
        await connection.is_known.wait()
    known = connection.tools

    with pytest.raises(Lost):
        await ask(connection)
    with pytest.raises(Lost) as away:
        await ask(connection)
    async with shop.serve(port=port_of(url)):
        reply = await back(connection)
        await connection.close()

    assert not away.value.was_sent
    assert known and connection.tools == known
    assert json.loads(reply.texts[0])["day"] == "Monday"


async def test_a_server_that_restarted_meanwhile_is_asked_anew():
    shop = Shop()
    async with shop.serve() as url:
        connection = connected(url)
        await connection.is_known.wait()
    async with shop.serve(port=port_of(url)):
        reply = await ask(connection)
        await connection.close()

    assert json.loads(reply.texts[0])["times"] == ["09:00", "10:30"]


async def test_a_change_is_not_made_twice_when_the_connection_breaks():
    shop = Shop()
    async with shop.serve() as url:
        connection = connected(url)
        await connection.is_known.wait()
        running = asyncio.create_task(ask(connection, "slow", may_repeat=False))
        await shop.begun.wait()
    with pytest.raises(Lost) as lost:
        await running
    await connection.close()

    assert lost.value.was_sent


async def test_what_the_agent_says_to_change_something_is_not_done_twice_either():
    shop = Shop()
    async with desk() as agent:
        async with shop.serve() as url:
            agent.wish["mcp"]["url"] = url
            slow = (await agent.settled())["shop_slow"]
            using = slow.run(ToolCall("id", {}, FakeActions(), changes=True))
            running = asyncio.create_task(using)
            await shop.begun.wait()

        with pytest.raises(ToolFailed, match="It may have been done all the same"):
            await running


async def test_a_tool_that_the_server_takes_away_is_said_to_be_gone_and_offered_no_more():
    async with Shop().serve() as url, desk(url=url) as agent:
        envelope = (await agent.settled())["shop_envelope"]

        await agent.use("close_down")
        with pytest.raises(ToolFailed, match="isn't there any more"):
            await envelope.run(ToolCall("id", {}, FakeActions()))

        while "shop_envelope" in {tool.name for tool in agent.tools()}:
            await agent.use("as_n8n")


def connected(url: str, **options: float) -> Connection:
    server = McpServer("shop", "streamable_http", url=url)
    return Connection(server, Destinations().plus(url), **options)


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


async def ask(
    connection: Connection, tool: str = "free_times", *, may_repeat: bool = True
) -> Reply:
    arguments = {"day": "Monday"} if tool == "free_times" else {}
    return await connection.call(tool, arguments, meta={}, tell=nobody, may_repeat=may_repeat)


async def nobody(_text: str) -> None:
    """There is nobody to be told."""


async def back(connection: Connection) -> Reply:
    """What it answers once it is there again."""
    while True:
        try:
            return await ask(connection)
        except Lost:
            continue


async def test_every_tenant_has_secrets_and_a_connection_of_its_own():
    shop = Shop()
    secrets = {"TOOL_SHOP__ACME": "acme-key", "TOOL_SHOP__BEE": "bee-key"}
    headers = {"Authorization": "Bearer ${TOOL_SHOP}"}
    async with shop.serve() as url, desk(url=url, headers=headers, secrets=secrets) as agent:
        nobodys = agent.tools()
        await agent.settled(tenant="acme")
        await agent.settled(tenant="bee")
        shop.headers.clear()

        await agent.use("envelope", tenant="acme")
        await agent.use("envelope", tenant="bee")

        sent = [each["authorization"] for each in shop.headers if "mcp-session-id" in each]
        assert nobodys == agent.tools(tenant="who-has-none") == []
        assert {"Bearer acme-key", "Bearer bee-key"} == set(sent)


async def test_a_tenants_agent_reaches_no_private_address():
    async with desk(url="http://127.0.0.1:9/mcp") as agent:
        with pytest.raises(DestinationRefused):
            agent.tools(owner="acme", tenant="acme")


async def test_a_tenants_agent_has_no_part_in_the_houses_connection_to_a_private_place():
    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    house = ToolHouse(Destinations(look_up=here))
    async with Shop().serve() as url, closing(house):
        named = url.replace("127.0.0.1", "shop.example.org")
        agent = Desk(house, url=named, headers={"Host": url.split("/")[2]})
        await agent.settled()

        agent.tools(owner="acme", tenant="acme")
        await house.settled()

        assert agent.tools(owner="acme", tenant="acme") == []
