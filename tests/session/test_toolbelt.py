"""Tools run within their limits, and what they answer is not lost."""

import asyncio
import json

from parley.core.errors import ToolFailed
from parley.engines.spec import Delta, ToolRequest
from parley.session.toolbelt import Toolbelt
from parley.testing.engines import FakeChatter
from parley.tools.spec import Tool, ToolCall, idempotency_key
from tests.session.fakes import FakeHouse, agent_with, start_call
from tests.tools.actions import FakeActions


def asks_for(tool: str, **arguments: object):
    """A mind that asks for the tool once and then words what came of it."""

    def mind(messages):
        if messages[-1]["role"] == "tool":
            return f"Result: {messages[-1]['content']}"
        return Delta(tools=(ToolRequest("call_1", tool, dict(arguments)),))

    return FakeChatter(mind)


async def test_the_model_gets_the_result(house: FakeHouse):
    async def double(call: ToolCall):
        return {"doubled": call.arguments["number"] * 2}

    house.agents = [agent_with(greeting="")]
    house.tools = [Tool("double", "Doubles.", double)]
    house.llm = asks_for("double", number=21)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("double it")
        await call.until("turn_ended")

        assert json.loads(house.llm.asked[-1][-1]["content"]) == {"doubled": 42}
        assert [name for name in call.names() if name.startswith("tool")] == [
            "tool_started",
            "tool_ended",
        ]


async def test_a_failure_becomes_a_sentence_for_the_model(house: FakeHouse):
    async def fail(_: ToolCall):
        raise ToolFailed("The diary is closed.")

    house.agents = [agent_with(greeting="")]
    house.tools = [Tool("diary", "Looks.", fail)]
    house.llm = asks_for("diary")
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("look")
        ended = await call.until("tool_ended")
        await call.until("turn_ended")

        assert ended.error == "The diary is closed."
        assert json.loads(house.llm.asked[-1][-1]["content"]) == {"error": "The diary is closed."}


async def test_a_tool_that_takes_too_long_is_given_up(house: FakeHouse):
    async def hang(_: ToolCall):
        await asyncio.Event().wait()

    house.agents = [agent_with(greeting="")]
    house.tools = [Tool("slow", "Hangs.", hang, timeout_s=0.05)]
    house.llm = asks_for("slow")
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("wait")
        ended = await call.until("tool_ended")
        await call.until("turn_ended")

        assert "did not answer" in ended.error
        assert json.loads(house.llm.asked[-1][-1]["content"]) == {"error": ended.error}


async def test_what_must_not_be_interrupted_finishes_and_stays_in_the_context(house: FakeHouse):
    started, may_finish = asyncio.Event(), asyncio.Event()

    async def book(_: ToolCall):
        started.set()
        await may_finish.wait()
        return {"booked": True}

    house.agents = [agent_with(greeting="")]
    house.tools = [Tool("book", "Books.", book, interruptible=False)]
    house.llm = asks_for("book")
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("book it")
        await started.wait()
        await call.control.interrupt()
        may_finish.set()
        await call.until("tool_ended")
        house.llm.mind = lambda _: "Done."
        await call.control.ask("is it booked")
        await call.until("turn_ended")

        results = [m for m in house.llm.asked[-1] if m["role"] == "tool"]
        assert [json.loads(result["content"]) for result in results] == [{"booked": True}]


async def test_a_second_booking_is_no_repetition_though_the_model_numbers_it_alike():
    keys: list[str] = []

    async def note(call: ToolCall):
        keys.append(call.idempotency_key)

    tool = Tool("book", "Books.", note)
    belt = Toolbelt([tool], FakeActions(), lambda _: None)

    for day in ("tuesday", "tuesday", "friday", "tuesday"):
        await belt.run(tool, ToolRequest("call_0", "book", {"day": day}))

    first, again, other, once_more = keys
    assert first == again == once_more == idempotency_key("call_1", "book", "call_0")
    assert other != first


async def test_what_changed_something_and_was_given_up_may_have_been_done():
    async def hang(_: ToolCall):
        await asyncio.Event().wait()

    async def snap(_: ToolCall):
        raise RuntimeError("snap")

    tools = [
        Tool("book", "Books.", hang, timeout_s=0.01, changes=True),
        Tool("move", "Moves.", snap, changes=True),
        Tool("look", "Looks.", hang, timeout_s=0.01),
    ]
    belt = Toolbelt(tools, FakeActions(), lambda _: None)

    told = [(await belt.run(tool, ToolRequest("1", tool.name, {})))["error"] for tool in tools]

    maybe = " It may have been done all the same, so check before you try again."
    assert told == [
        f"book did not answer within 0.01 seconds.{maybe}",
        f"move could not be used.{maybe}",
        "look did not answer within 0.01 seconds.",
    ]


async def test_what_a_tool_tells_of_itself_holds_no_secret():
    told: list[str] = []

    async def check(call: ToolCall):
        await call.progress(f"Checking {call.arguments['pin']} for {call.arguments['name']}.")

    async def hear(_: str, text: str):
        told.append(text)

    tool = Tool("check", "Checks.", check)
    belt = Toolbelt([tool], FakeActions(), lambda _: None, progress=hear)

    await belt.run(tool, ToolRequest("1", "check", {"pin": "4711", "name": "Ada"}))

    assert told == ["Checking *** for Ada."]
