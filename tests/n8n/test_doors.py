"""The same tools by the other two ways in: MCP, and an ordinary webhook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.n8n.days import next_day
from tests.n8n.doors import ByMcp, ByWebhook
from tests.n8n.instance import N8n

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TOOLS = {
    "free_times",
    "book_appointment",
    "move_appointment",
    "cancel_appointment",
    "list_appointments",
}


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
