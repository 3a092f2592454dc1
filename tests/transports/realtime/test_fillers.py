"""A client's user who waits for one of the agent's own tools is told so, within the response."""

from __future__ import annotations

import asyncio
from typing import Any

from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.tools.spec import Tool, ToolCall
from tests.transports.realtime.client import Client
from tests.transports.realtime.house import realtime_house

OURS = "agent:tester"


def mind(messages: list[Message]) -> Any:
    if messages[-1]["role"] == "tool":
        return "It is noon."
    return Delta(tools=(ToolRequest("call_1", "tell_time", {}),))


async def test_the_filler_is_a_message_of_the_response_before_the_answer(listening: Listening):
    go_on = asyncio.Event()

    async def tell_time(call: ToolCall) -> str:
        await go_on.wait()
        return "noon"

    filler: dict[str, Any] = {"filler": "Let me see.", "filler_after_ms": 1}
    tools = [Tool("tell_time", "Tells the time.", tell_time, **filler)]
    async with (
        realtime_house(listening, llm=FakeChatter(mind), tools=tools) as house,
        house.client(OURS) as client,
    ):
        response = await asked(client, go_on)
        await client.write("And now?")
        await client.ask()

    said = [item["content"][0]["transcript"] for item in response["output"]]
    assert said == ["Let me see.", "It is noon."]
    assert "Let me see" not in str(house.asked[-1])


async def asked(client: Client, go_on: asyncio.Event) -> Any:
    """The response to a question whose tool answers when the filler has been said."""
    await client.write("What time is it?")
    await client.send("response.create")
    await client.until("response.output_item.done")
    go_on.set()
    return (await client.until("response.done"))["response"]
