"""A server may say that its tools have changed as often as it likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley.tools.mcp import connection
from parley.tools.mcp.connection import Connection
from parley.tools.mcp.facts import Listing, Lost, McpServer, Reply, Tell
from parley.tools.webhook.destinations import Destinations


class Restless:
    """Says with every list that it has changed."""

    def __init__(self) -> None:
        self.lists = 0
        self.opened = 0
        self.has_listed = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def open(self, _: McpServer, changed: Callable[[], None]) -> AsyncIterator[Restless]:
        self.opened += 1
        self.changed = changed
        yield self

    async def list_tools(self) -> list[Listing]:
        self.lists += 1
        self.has_listed.set()
        self.changed()
        return [Listing(f"tool_{self.lists}", "", {})]

    async def call(self, tool: str, arguments: Mapping[str, Any], meta: Any, tell: Tell) -> Reply:
        if self.opened == 1:
            raise Lost("gone", was_sent=False)
        return Reply(texts=(tool,))


@pytest.fixture
async def restless(monkeypatch: pytest.MonkeyPatch) -> Restless:
    server = Restless()

    async def load(_: Destinations) -> Any:
        return server.open

    monkeypatch.setattr(connection, "_load", load)
    return server


async def held(server: Restless) -> Connection:
    found = Connection(McpServer("s", "streamable_http"), Destinations())
    await found.is_known.wait()
    while server.lists < 2:
        server.has_listed.clear()
        await server.has_listed.wait()
    return found


async def test_a_server_that_always_says_so_is_left_in_peace_for_a_while(
    restless: Restless, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "SOONEST_REFRESH_S", 1000.0)
    found = await held(restless)
    try:
        for _ in range(100):
            await asyncio.sleep(0)
        assert restless.lists == 2

        answer = await found.call("look", {}, meta={}, tell=_nobody, may_repeat=False)
    finally:
        await found.close()

    assert (answer.texts, restless.opened) == (("look",), 2)


async def test_a_change_while_the_server_is_left_in_peace_is_not_forgotten(
    restless: Restless, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "SOONEST_REFRESH_S", 0.01)
    found = await held(restless)
    try:
        while restless.lists < 4:
            restless.has_listed.clear()
            await asyncio.wait_for(restless.has_listed.wait(), 5)
        assert found.tools[0].name.startswith("tool_")
    finally:
        await found.close()


async def _nobody(_text: str) -> None:
    """There is nobody to be told."""
