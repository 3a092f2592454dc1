"""A tool at a URL, used as calls use it, and by an HTTP client that does nothing else."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.bookings import SECRET
from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.core.events import CallStarted
from parley.engines.spec import ToolRequest
from parley.session.toolbelt import Toolbelt, Whose
from parley.session.written_actions import WrittenActions
from parley.settings import Settings
from parley.store.call_journal import CallJournal
from parley.store.call_writer import CallWriter
from parley.store.opening import open_store
from parley.tool_room import open_tool_room
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse
from parley.tools.spec import Tool
from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.signing import HEADER, sign


@asynccontextmanager
async def used(url: str) -> AsyncGenerator[Used]:
    """A call's tools, over a house that is the real one but for its engines."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-tools-")))
        settings = Settings(data_dir=folder)
        store = await stack.enter_async_context(open_store(settings))
        house = ToolHouse(Destinations(["127.0.0.1"]), secret=SECRET)
        stack.push_async_callback(house.close)
        room = await stack.enter_async_context(open_tool_room(settings, store, house))
        history = await stack.enter_async_context(CallJournal(store.calls, folder / "calls"))
        bus = await stack.enter_async_context(Bus())
        bus.subscribe("store", CallWriter(history.note).listen)
        bus.subscribe("webhooks", room.courier.listen)
        call = CallInfo(agent="bench", transport="bench")
        bus.publish(CallStarted(call_id=call.id, call=call))
        wish = {
            "name": "book_slot",
            "description": "Books a slot.",
            "url": url,
            "changes": True,
            "parameters": {"type": "object", "properties": {"slot": {"type": "integer"}}},
        }
        (tool,) = ToolCatalog(house=house).tools_for([{"webhook": wish}])
        whose = Whose(call.tenant, call.agent)
        actions = WrittenActions(call.id)
        yield Used(Toolbelt([tool], actions, bus.publish, whose, book=room.book), tool)


class Used:
    """A tool as calls use it."""

    def __init__(self, belt: Toolbelt, tool: Tool) -> None:
        self._belt = belt
        self._tool = tool
        self._slot = 0

    async def once(self, _number: int) -> float:
        self._slot += 1
        request = ToolRequest(
            f"use_{self._slot}", self._tool.name, {"slot": self._slot}, is_confirmed=True
        )
        began_s = time.perf_counter()
        answer = await self._belt.run(self._tool, request)
        return _overhead_ms(began_s, answer)


@asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Bare]:
    """The same request by a client that does nothing else."""
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Bare(http, url)


class Bare:
    """An HTTP client, and what it asks."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def once(self, number: int) -> float:
        key = f"bare_{number}"
        asked = {"idempotency_key": key, "run_id": key, "call_id": key, "args": {"slot": -number}}
        began_s = time.perf_counter()
        body = httpx.Request("POST", self._url, json=asked).content
        answer = await self._http.post(
            self._url, content=body, headers={HEADER: sign(SECRET, body)}
        )
        return _overhead_ms(began_s, answer.json()["result"])


def _overhead_ms(began_s: float, result: Mapping[str, Any]) -> float:
    return (time.perf_counter() - began_s) * 1000 - float(result["own_ms"])
