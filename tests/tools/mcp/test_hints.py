"""What a server says that its tools do counts, and what the agent's file says counts more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from parley.core.errors import ToolFailed
from parley.tools.spec import Tool, ToolCall
from tests.tools.actions import FakeActions
from tests.tools.mcp.shop import Shop
from tests.tools.mcp.test_servers import desk, port_of

mcp_types = pytest.importorskip("mcp_types", reason="the extra mcp is not installed")
mcpserver = pytest.importorskip("mcp.server.mcpserver", reason="the extra mcp is not installed")

HINTS: Mapping[str, dict[str, Any] | None] = {
    "look": {"read_only_hint": True},
    "wipe": {"destructive_hint": True},
    "drop": {"read_only_hint": False, "destructive_hint": True, "idempotent_hint": True},
    "write": {"read_only_hint": False},
    "note": {"read_only_hint": False, "destructive_hint": False},
    "titled": {"title": "A title"},
    "plain": None,
}


@dataclass
class HintedShop(Shop):
    """Its tools end when they may, and keep what they were asked with."""

    asked: list[Mapping[str, Any]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def server(self) -> Any:
        server = mcpserver.MCPServer("shop", log_level="ERROR")
        for name, hints in HINTS.items():
            says = None if hints is None else mcp_types.ToolAnnotations(**hints)
            server.tool(name=name, annotations=says)(self.work)
        reads = mcp_types.ToolAnnotations(read_only_hint=True)
        server.tool(name="find", annotations=reads)(self.find)
        return server

    async def work(self, ctx: mcpserver.Context) -> str:
        self.asked.append(dict(ctx.request_context.meta or {}))
        self.begun.set()
        await self.go_on.wait()
        return "done"

    async def find(self, idempotency_key: str) -> str:
        return f"found {idempotency_key}"


def use(tool: Tool, **arguments: Any) -> Any:
    call = ToolCall("id_1", arguments, FakeActions(), idempotency_key="key_1", changes=tool.changes)
    return tool.run(call)


async def test_what_destroys_is_confirmed_and_what_nobody_speaks_of_is_as_it_was():
    async with HintedShop().serve() as url, desk(url=url, prefix="") as agent:
        tools = await agent.settled()

    traits = {name: (tool.changes, tool.confirms) for name, tool in tools.items()}
    assert traits == {
        "look": (False, False),
        "find": (False, False),
        "wipe": (True, True),
        "drop": (True, True),
        "write": (True, True),
        "note": (True, False),
        "titled": (False, False),
        "plain": (False, False),
    }
    assert {name for name, tool in tools.items() if not tool.interruptible} == {
        *("wipe", "drop", "write", "note")
    }


async def test_what_the_file_says_counts_more_than_what_the_server_says():
    rules = {
        "look": {"changes": True, "confirms": True},
        "wipe": {"confirms": False},
        "drop": {"changes": False},
    }
    async with HintedShop().serve() as url, desk(url=url, prefix="", tools=rules) as agent:
        tools = await agent.settled()

    found = {name: tools[name] for name in rules}
    assert {name: (tool.changes, tool.confirms) for name, tool in found.items()} == {
        "look": (True, True),
        "wipe": (True, False),
        "drop": (False, False),
    }
    assert [tool.interruptible for tool in found.values()] == [False, False, True]


async def test_what_only_reads_gets_no_idempotency_key():
    shop = HintedShop()
    shop.go_on.set()
    async with shop.serve() as url, desk(url=url, prefix="") as agent:
        tools = await agent.settled()

        for name in ("look", "wipe", "plain"):
            await use(tools[name])
        found = await use(tools["find"], idempotency_key="of the booking")

    assert [each.get("idempotency_key") for each in shop.asked] == [None, "key_1", "key_1"]
    assert found == "found of the booking"
    assert tools["find"].parameters["required"] == ["idempotency_key"]


@pytest.mark.parametrize(("name", "times"), [("look", 2), ("drop", 2), ("wipe", 1)])
async def test_what_does_no_harm_twice_is_tried_again(name: str, times: int):
    shop = HintedShop()
    async with desk(prefix="") as agent:
        async with shop.serve() as url:
            agent.wish["mcp"]["url"] = url
            tool = (await agent.settled())[name]
            using = asyncio.create_task(use(tool))
            await shop.begun.wait()
        shop.go_on.set()
        async with shop.serve(port=port_of(url)):
            (outcome,) = await asyncio.gather(using, return_exceptions=True)

    assert len(shop.asked) == times
    assert outcome == "done" if times == 2 else isinstance(outcome, ToolFailed)
