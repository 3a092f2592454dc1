"""Tools at the stand-in's URL, ready to be used as a call uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from parley.core.errors import ToolFailed
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse
from parley.tools.spec import Tool, ToolCall, idempotency_key
from parley.tools.webhook.credentials import Credentials
from parley.tools.webhook.destinations import Destinations
from tests.tools.actions import FakeActions
from tests.tools.webhook_server import StandIn, stand_in

SECRET = "house-secret"
DAY = {"day": {"type": "string", "format": "date", "description": "A date as YYYY-MM-DD"}}
SCHEMA = {"type": "object", "properties": DAY, "required": ["day"]}


@dataclass
class Desk:
    """One service and one house; ``told`` is what the caller was told meanwhile."""

    server: StandIn
    house: ToolHouse
    told: list[str] = field(default_factory=list)
    was_told: asyncio.Event = field(default_factory=asyncio.Event)
    tenant: str = "default"
    owner: str = ""

    def tool(self, **options: Any) -> Tool:
        given = {
            "name": "free_rooms",
            "description": "Lists the free rooms of a day.",
            "url": f"{self.server.url}/rooms",
            "parameters": SCHEMA,
            **options,
        }
        catalog = ToolCatalog(house=self.house)
        (made,) = catalog.tools_for(
            [{"webhook": given}],
            time_zone="Europe/Berlin",
            tenant=self.tenant,
            owner=self.owner,
            language="en-GB",
        )
        return made

    async def use(
        self, tool: Tool, arguments: Mapping[str, Any] | None = None, id: str = "tool_1"
    ) -> Any:
        call = ToolCall(
            id,
            {"day": "2026-03-03"} if arguments is None else arguments,
            FakeActions(),
            tenant=self.tenant,
            agent="front",
            idempotency_key=idempotency_key("call_1", tool.name, id),
            changes=tool.changes,
            timeout_s=tool.timeout_s,
            progress=self._hear,
        )
        return await tool.run(call)

    async def refused(self, tool: Tool, arguments: Mapping[str, Any] | None = None) -> str:
        """The sentence that the tool fails with."""
        with pytest.raises(ToolFailed) as failed:
            await self.use(tool, arguments)
        return str(failed.value)

    async def _hear(self, text: str) -> None:
        self.told.append(text)
        self.was_told.set()


@asynccontextmanager
async def open_desk(**house: Any) -> AsyncGenerator[Desk]:
    async with stand_in() as server:
        values = house.pop("values", {})
        given = {
            "destinations": Destinations([f"127.0.0.1:{server.port}"]),
            "credentials": Credentials(values),
            "secret": SECRET,
            "retry_pause_s": 0.0,
            **house,
        }
        opened = ToolHouse(**given)
        try:
            yield Desk(server, opened)
        finally:
            await opened.close()
