"""Functions that the client runs, tools that the agent has here, and both."""

from __future__ import annotations

import json
from typing import Any

from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.tools.spec import Tool, ToolCall
from tests.transports.realtime.client import Client
from tests.transports.realtime.house import realtime_house

LOOK = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
}
OURS = "agent:tester"


def asks_then_says(*requests: ToolRequest, said: str = "") -> Any:
    """Wants the tools once, and then tells how many answers it got."""

    def mind(messages: list[Message]) -> Any:
        answers = [m["content"] for m in messages if m["role"] == "tool"]
        if answers:
            return f"Got {' and '.join(answers)}."
        return [Delta(text=said), Delta(tools=requests)] if said else Delta(tools=requests)

    return FakeChatter(mind)


def one(name: str = "look", id: str = "call_1", **arguments: str) -> ToolRequest:
    return ToolRequest(id, name, arguments)


async def answer(client: Client, call_id: str, output: str) -> Any:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return await client.put(item)


async def test_a_client_runs_its_function_and_the_model_goes_on(listening: Listening):
    llm = asks_then_says(one(at="noon"))
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(tools=[LOOK])
        await client.write("What is there?")
        begun = len(client.told)
        wants = await client.ask()
        told = client.told[begun:]
        await answer(client, "call_1", "a tree")
        answered = await client.ask()

    (call,) = wants["output"]
    assert [e["type"] for e in told] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert (call["name"], call["call_id"], json.loads(call["arguments"])) == (
        "look",
        "call_1",
        {"at": "noon"},
    )
    assert told[2]["item"]["name"] == "look"
    assert answered["output"][0]["content"][0]["transcript"] == "Got a tree."
    asked = house.asked[-1]
    assert [m["role"] for m in asked] == ["system", "user", "assistant", "tool"]
    assert asked[2]["tool_calls"][0]["id"] == asked[3]["tool_call_id"] == "call_1"


async def test_several_calls_are_one_response(listening: Listening):
    llm = asks_then_says(one(id="call_1", at="a"), one(id="call_2", at="b"))
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(tools=[LOOK])
        await client.write("Look at both.")
        wants = await client.ask()
        await answer(client, "call_2", "second")
        await answer(client, "call_1", "first")
        await client.ask()

    asked = house.asked[-1]
    assert [item["call_id"] for item in wants["output"]] == ["call_1", "call_2"]
    assert [e["output_index"] for e in client.all("response.function_call_arguments.done")] == [
        0,
        1,
    ]
    assert len(asked[2]["tool_calls"]) == 2
    assert {m["tool_call_id"]: m["content"] for m in asked[3:]} == {
        "call_1": "first",
        "call_2": "second",
    }


async def test_what_is_said_before_a_call_is_an_item_of_its_own(listening: Listening):
    llm = asks_then_says(one(), said="Let me look.")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(tools=[LOOK])
        await client.write("What is there?")
        wants = await client.ask()
        await answer(client, "call_1", "a tree")
        await client.ask()

    said, call = wants["output"]
    assert said["content"] == [{"type": "output_audio", "transcript": "Let me look."}]
    assert (call["type"], call["status"]) == ("function_call", "completed")
    asked = house.asked[-1]
    assert [m["role"] for m in asked] == ["system", "user", "assistant", "assistant", "tool"]
    assert asked[2] == {"role": "assistant", "content": "Let me look."}


async def test_a_model_is_never_shown_a_call_without_an_answer(listening: Listening):
    llm = FakeChatter(
        lambda messages: (
            "Fine."
            if any(m["role"] == "tool" for m in messages)
            else Delta(tools=(one(id="call_1"), one(id="call_2")))
        )
    )
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(tools=[LOOK])
        await client.write("What is there?")
        await client.ask()
        await answer(client, "call_2", "a tree")
        await client.write("Never mind.")
        await client.ask()

    asked = house.asked[-1]
    answers = {m["tool_call_id"]: m["content"] for m in asked if m["role"] == "tool"}
    assert [m["role"] for m in asked] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert set(answers) == {"call_1", "call_2"}
    assert answers["call_2"] == "a tree"


async def test_an_answer_whose_call_was_deleted_is_not_shown(listening: Listening):
    llm = asks_then_says(one())
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(tools=[LOOK])
        await client.write("What is there?")
        (call,) = (await client.ask())["output"]
        await answer(client, "call_1", "a tree")
        await client.send("conversation.item.delete", item_id=call["id"])
        await client.until("conversation.item.deleted")
        await client.ask()

    assert [m["role"] for m in house.asked[-1]] == ["system", "user"]


async def test_an_answer_that_nobody_asked_for_is_refused(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        item = {"type": "function_call_output", "call_id": "call_9", "output": "x"}
        await client.send("conversation.item.create", item=item)
        error = await client.error()

    assert (error["code"], error["param"]) == ("invalid_tool_call_id", "item.call_id")


async def test_an_agents_own_tool_runs_here_within_one_response(listening: Listening):
    async def tell_time(call: ToolCall) -> Any:
        return "noon"

    llm = asks_then_says(one("tell_time"))
    tools = [Tool("tell_time", "Tells the time.", tell_time)]
    async with (
        realtime_house(listening, llm=llm, tools=tools) as house,
        house.client(OURS) as client,
    ):
        await client.write("What time is it?")
        response = await client.ask()

    (said,) = response["output"]
    assert "noon" in said["content"][0]["transcript"]
    assert len(client.all("response.created")) == 1
    assert [t for t in client.types() if "function_call" in t] == []


async def test_the_clients_functions_come_before_the_agents_tools(listening: Listening):
    ran: list[str] = []

    async def tell_time(call: ToolCall) -> Any:
        ran.append(call.id)
        return "noon"

    def mind(messages: list[Message]) -> Any:
        answered = {m["tool_call_id"] for m in messages if m["role"] == "tool"}
        if not answered:
            return Delta(tools=(one("tell_time", "call_ours"), one(id="call_theirs")))
        if "call_ours" not in answered:
            return Delta(tools=(one("tell_time", "call_ours"),))
        return "Done."

    tools = [Tool("tell_time", "Tells the time.", tell_time)]
    async with (
        realtime_house(listening, llm=FakeChatter(mind), tools=tools) as house,
        house.client(OURS) as client,
    ):
        await client.update(tools=[LOOK])
        await client.write("Both, please.")
        wants = await client.ask()
        before = list(ran)
        await answer(client, "call_theirs", "a tree")
        done = await client.ask()

    assert [item["name"] for item in wants["output"]] == ["look"]
    assert (before, ran) == ([], ["call_ours"])
    assert done["output"][-1]["content"][0]["transcript"] == "Done."


async def test_a_model_alone_has_none_of_an_agents_tools(listening: Listening):
    async def tell_time(call: ToolCall) -> Any:
        return "noon"

    tools = [Tool("tell_time", "Tells the time.", tell_time)]
    async with realtime_house(listening, tools=tools) as house, house.client() as client:
        await client.write("Hello.")
        await client.ask()

    assert house.llm.tools == []
