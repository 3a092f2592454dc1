"""The same tools by the other two ways in: MCP, and an ordinary webhook."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.n8n.days import next_day
from tests.n8n.instance import Answer, N8n, envelope

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

TOOLS = {
    "free_times",
    "book_appointment",
    "move_appointment",
    "cancel_appointment",
    "list_appointments",
}


class ByMcp:
    """Uses a tool through the MCP server; each call is a session of its own."""

    def __init__(self, n8n: N8n) -> None:
        self._url = f"{n8n.url}/mcp/parley-tools"
        self._headers = {"Authorization": f"Bearer {n8n.secrets.mcp}"}

    async def tools(self) -> dict[str, Any]:
        async with (
            self._http() as http,
            streamable_http_client(self._url, http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return {each.name: each.input_schema for each in (await session.list_tools()).tools}

    async def __call__(self, tool: str, key: str = "", **args: str) -> dict[str, Any]:
        async with (
            self._http() as http,
            streamable_http_client(self._url, http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            answer: Any = await session.call_tool(tool, {**args, "idempotency_key": key})
            (only,) = json.loads(answer.content[0].text)
            return only

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=self._headers, timeout=30)


class ByWebhook:
    """Uses a tool through the plain webhook, with its header."""

    def __init__(self, n8n: N8n) -> None:
        self._n8n = n8n

    async def send(self, tool: str, key: str = "", header: str = "", **args: str) -> Answer:
        body = json.dumps(envelope(tool, args, key)).encode()
        headers = {"X-Agent-Key": header or self._n8n.secrets.header}
        return await self._n8n.post("/webhook/parley-appointments", body, headers)

    async def __call__(self, tool: str, key: str = "", **args: str) -> dict[str, Any]:
        return (await self.send(tool, key, **args)).body


@pytest_asyncio.fixture(loop_scope="session", params=[ByMcp, ByWebhook])
async def use(request: pytest.FixtureRequest, n8n: N8n) -> AsyncIterator[Any]:
    yield request.param(n8n)


async def test_appointments_are_made_moved_and_cancelled_and_nobody_gets_a_taken_time(
    use: Any,
) -> None:
    day = next_day()

    free = await use("free_times", day=day)
    book = await use("book_appointment", "", name="Lea", day=day, time="10:00", time_zone="")
    again = await use("book_appointment", "", name="Max", day=day, time="10:00", time_zone="")
    move = await use(
        "move_appointment", "", name="Lea", new_day=day, new_time="11:00",
        day="", time="", time_zone="",
    )  # fmt: skip
    listed = await use("list_appointments", name="Lea")
    cancel = await use("cancel_appointment", "", name="Lea", day="", time="")

    assert "10:00" in free["result"]["times"]
    assert book["result"]["status"] == "booked"
    assert again["error"]["code"] == "slot_taken"
    assert (move["result"]["status"], move["result"]["time"]) == ("moved", "11:00")
    assert [each["time"] for each in listed["result"]["appointments"]] == ["11:00"]
    assert cancel["result"]["status"] == "cancelled"


async def test_a_key_makes_a_repeated_booking_the_same_one(use: Any, n8n: N8n) -> None:
    day, key = next_day(), f"key-{type(use).__name__}"
    wish = {"name": "Nia", "day": day, "time": "12:00", "time_zone": ""}

    answers = [await use("book_appointment", key, **wish) for _ in range(2)]

    assert answers[0] == answers[1]
    rows = [row for row in await n8n.rows() if row["day"] == day]
    assert [row["state"] for row in rows] == ["booked"]


async def test_mcp_describes_every_tool_and_what_it_takes(n8n: N8n) -> None:
    tools = await ByMcp(n8n).tools()

    assert tools.keys() == TOOLS
    properties = tools["book_appointment"]["properties"]
    assert {"name", "day", "time", "idempotency_key"} <= properties.keys()
    assert "YYYY-MM-DD" in properties["day"]["description"]


async def test_without_the_token_nobody_gets_in_by_mcp(n8n: N8n) -> None:
    async with httpx2.AsyncClient(timeout=30) as http:
        answer = await http.post(f"{n8n.url}/mcp/parley-tools", json={})

    assert answer.status_code == 401 or answer.status_code == 403


async def test_the_webhook_wants_its_header_and_knows_its_tools(n8n: N8n) -> None:
    by_webhook = ByWebhook(n8n)

    unknown = await by_webhook.send("toString", day=next_day())
    async with httpx2.AsyncClient(timeout=30) as http:
        refused = await http.post(
            f"{n8n.url}/webhook/parley-appointments", json={}, headers={"X-Agent-Key": "wrong"}
        )

    assert unknown.error == "unknown_tool"
    assert refused.status_code == 403
