"""OpenAI's client for Node works with Parley as it comes: chat, tools, responses, errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from parley.engines.spec import Delta, ToolRequest, Usage
from parley.testing.engines import FakeChatter, broken, last_user_text
from tests.api.openai.written_house import house_with
from tests.e2e.official_openai import fetched_client, run_program

OSLO = ToolRequest("call_1", "weather", {"city": "Oslo"})


class Actor(FakeChatter):
    """Does what the last message names."""

    def __init__(self) -> None:
        super().__init__(lambda _: "")
        self.has_stopped = asyncio.Event()

    async def chat(self, messages: Any, tools: Any, options: Any) -> AsyncGenerator[Delta]:
        wish = last_user_text(messages)
        if messages[-1]["role"] == "tool":
            yield Delta(text=f"There is {messages[-1]['content']}.")
        elif wish == "weather":
            yield Delta(tools=(OSLO,), finish="tool_calls", usage=Usage(7, 3))
        elif wish == "break":
            yield Delta(text="one ")
            raise broken("llm")
        elif wish == "endless":
            try:
                yield Delta(text="one ")
                await asyncio.Event().wait()
            finally:
                self.has_stopped.set()
        else:
            yield Delta(text=f"You said: {wish}", usage=Usage(7, 3))


async def test_the_client_for_node_gets_what_openai_would_give_it() -> None:
    node = await asyncio.to_thread(fetched_client)
    llm = Actor()
    async with house_with(llm=llm) as house:
        got = await run_program(node, "written.mjs", house.base_url)
        await asyncio.wait_for(llm.has_stopped.wait(), 5)

    assert got["models"] == ["agent:tester", "fake", "scripted"]
    assert (got["chat"]["text"], got["chat"]["total"]) == ("You said: Hello?", 10)
    assert got["chat"]["requestID"].startswith("req_")
    assert got["stream"] == {
        "finish": "tool_calls",
        "calls": [["call_1", {"city": "Oslo"}]],
        "total": 10,
    }
    assert got["ranTools"] == "There is sun in Oslo."
    assert got["response"]["status"] == "completed"
    assert got["response"]["next"] == "You said: And?"
    assert got["events"][0] == "response.created" and got["events"][-1] == "response.completed"
    assert got["called"] == ["function_call"]
    assert (got["noModel"]["kind"], got["noModel"]["code"]) == ("NotFoundError", "model_not_found")
    assert (got["badField"]["kind"], got["badField"]["param"]) == ("BadRequestError", "temperature")
    assert (got["late"]["kind"], got["late"]["code"]) == ("APIError", "engine_failed")
