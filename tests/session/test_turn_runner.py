"""Agents answer in writing as they do in calls: same tools, same limits, no call around them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from parley.agents.schema import Agent
from parley.core.errors import ToolFailed
from parley.core.events import Event
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    Delta,
    Message,
    SpeechOptions,
    ToolRequest,
    ToolSchema,
    TranscribeOptions,
    Usage,
)
from parley.session.pipeline import CallEngines
from parley.session.round_memory import RoundMemory
from parley.session.turn_runner import MOST_ROUNDS, Asked, TurnRunner
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.tools.spec import Tool, ToolCall
from tests.session.fakes import AGENT, agent_with

HELLO = [{"role": "user", "content": "Hello?"}]


@dataclass
class Office:
    """A desk and a shed for one agent."""

    llm: Chatter
    tools: Sequence[Tool] = ()
    events: list[Event] = field(default_factory=list)

    def require_ready(self, agent: Agent) -> None:
        return None

    async def engines_for(self, agent: Agent, voice: str) -> CallEngines:
        return CallEngines(
            FakeTranscriber(),
            self.llm,
            FakeSynthesizer(word_ms=20, piece_ms=20),
            TranscribeOptions(),
            ChatOptions(max_tokens=300),
            SpeechOptions(),
        )

    def tools_for(self, agent: Agent, tenant: str) -> Sequence[Tool]:
        return self.tools

    @asynccontextmanager
    async def runner(self, **options: Any) -> AsyncIterator[TurnRunner]:
        runner = TurnRunner(self, self, self.events.append, **options)
        try:
            yield runner
        finally:
            await runner.close()


async def turn(
    runner: TurnRunner,
    messages: Sequence[Message] = HELLO,
    asked: Asked | None = None,
    agent: Agent = AGENT,
) -> list[Delta]:
    return [delta async for delta in runner.run_turn(agent, messages, asked)]


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def wants(*requests: ToolRequest, text: str = "") -> Sequence[Delta]:
    return [Delta(text=text), Delta(tools=requests, usage=Usage(5, 2))]


def booking(done: list[Any]) -> Tool:
    async def book(call: ToolCall) -> dict[str, str]:
        done.append(call.arguments)
        return {"status": "booked"}

    return Tool("book", "Books.", book, interruptible=False)


def books_once(heard: Sequence[Message]) -> Any:
    """Books unless it knows that it has, then says how things are."""
    results = [each["content"] for each in heard if each["role"] == "tool"]
    if results:
        return f"It is {json.loads(results[-1])['status']}."
    return wants(ToolRequest("call_1", "book", {"day": "Monday"}), text="One moment.")


async def test_the_model_is_told_what_its_tools_found_and_answers() -> None:
    done: list[Any] = []
    office = Office(FakeChatter(books_once), [booking(done)])
    async with office.runner() as runner:
        deltas = await turn(runner)

    assert text_of(deltas) == "One moment. It is booked. "
    assert done == [{"day": "Monday"}]
    assert (deltas[-1].finish, deltas[-1].tools) == ("stop", ())
    assert deltas[-1].usage == Usage(5, 2)
    assert [event.name for event in office.events] == ["tool_started", "tool_ended"]
    assert office.llm.asked[0][0] == {"role": "system", "content": AGENT.instructions}


async def test_usage_is_that_of_all_rounds_together() -> None:
    def mind(heard: Sequence[Message]) -> Any:
        if heard[-1]["role"] == "tool":
            return [Delta(text="Done."), Delta(usage=Usage(10, 4))]
        return wants(ToolRequest("a", "book", {}))

    async with Office(FakeChatter(mind), [booking([])]).runner() as runner:
        deltas = await turn(runner)

    assert deltas[-1].usage == Usage(15, 6)


async def test_what_was_booked_is_not_booked_again_by_the_next_request() -> None:
    done: list[Any] = []
    async with Office(FakeChatter(books_once), [booking(done)]).runner() as runner:
        first = text_of(await turn(runner))
        history = [
            *HELLO,
            {"role": "assistant", "content": first.strip()},
            {"role": "user", "content": "Is it booked?"},
        ]
        second = text_of(await turn(runner, history))

    assert len(done) == 1
    assert second.strip() == "It is booked."


async def test_one_tenants_memory_is_not_another_s() -> None:
    done: list[Any] = []
    async with Office(FakeChatter(books_once), [booking(done)]).runner() as runner:
        first = text_of(await turn(runner, HELLO, Asked(options=ChatOptions(tenant="acme"))))
        history = [*HELLO, {"role": "assistant", "content": first}, *HELLO]
        await turn(runner, history, Asked(options=ChatOptions(tenant="bee")))

    assert len(done) == 2


def test_the_memory_forgets_the_oldest_and_what_is_old() -> None:
    now_s = 0.0
    memory = RoundMemory(most=2, kept_s=60, clock=lambda: now_s)
    for name in ("a", "b", "c"):
        memory.keep((name,), HELLO, "Done.", [{"role": "assistant", "content": "really"}])
    history = [*HELLO, {"role": "assistant", "content": "Done."}]

    assert memory.recalled(("a",), history) == history
    assert memory.recalled(("c",), history)[-1]["content"] == "really"
    now_s = 61.0
    assert memory.recalled(("c",), history) == history


async def test_the_client_s_tools_are_handed_back_and_ours_wait() -> None:
    done: list[Any] = []
    theirs = ToolSchema("open_door", "Opens the door.", {"type": "object", "properties": {}})
    both = (ToolRequest("a", "book", {}), ToolRequest("b", "open_door", {}))
    office = Office(FakeChatter(lambda _: wants(*both)), [booking(done)])
    async with office.runner() as runner:
        deltas = await turn(runner, HELLO, Asked(tools=(theirs,)))

    assert [each.name for each in deltas[-1].tools] == ["open_door"]
    assert deltas[-1].finish == "tool_calls"
    assert done == []
    assert [tool.name for tool in office.llm.tools] == ["book", "open_door"]


async def test_a_failing_tool_is_a_sentence_for_the_model() -> None:
    async def fail(_: ToolCall) -> None:
        raise ToolFailed("The diary is closed.")

    def mind(heard: Sequence[Message]) -> Any:
        if heard[-1]["role"] == "tool":
            return json.loads(heard[-1]["content"])["error"]
        return wants(ToolRequest("a", "diary", {}), ToolRequest("b", "nothing", {}))

    async with Office(FakeChatter(mind), [Tool("diary", "Looks.", fail)]).runner() as runner:
        deltas = await turn(runner)

    assert text_of(deltas).strip() == "There is no tool nothing."


async def test_a_model_that_only_ever_wants_tools_is_made_to_answer() -> None:
    office = Office(FakeChatter(lambda _: "Well."), [booking([])])
    rounds = 0

    def mind(_: Sequence[Message]) -> Any:
        nonlocal rounds
        rounds += 1
        offered = office.llm.tools
        return wants(ToolRequest(f"c{rounds}", "book", {})) if offered else "Enough."

    office.llm.mind = mind
    async with office.runner() as runner:
        deltas = await turn(runner)

    assert rounds == MOST_ROUNDS
    assert text_of(deltas).strip() == "Enough."


async def test_a_model_that_says_nothing_about_its_tools_is_spoken_for() -> None:
    def mind(heard: Sequence[Message]) -> Any:
        return "" if heard[-1]["role"] == "tool" else wants(ToolRequest("a", "book", {}))

    async with Office(FakeChatter(mind), [booking([])]).runner() as runner:
        deltas = await turn(runner)

    assert text_of(deltas) == AGENT.sorry.tool


async def test_hanging_up_ends_the_turn_and_what_a_tool_says_is_read() -> None:
    async def leave(call: ToolCall) -> dict[str, str]:
        await call.actions.say("Goodbye.")
        await call.actions.hang_up()
        return {"status": "hanging_up"}

    llm = FakeChatter(lambda _: wants(ToolRequest("a", "leave", {}), text="As you wish."))
    async with Office(llm, [Tool("leave", "Leaves.", leave, ends_turn=True)]).runner() as runner:
        deltas = await turn(runner)

    assert text_of(deltas) == "As you wish. Goodbye."
    assert len(llm.asked) == 1


async def test_leaving_cancels_a_tool_but_not_one_that_must_finish() -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def slow(call: ToolCall) -> str:
        has_begun.set()
        try:
            await may_end.wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("finished")
        return "ok"

    for interruptible, how in ((True, "cancelled"), (False, "finished")):
        has_begun.clear()
        may_end.clear()
        tool = Tool("slow", "Slow.", slow, interruptible=interruptible)
        llm = FakeChatter(lambda _: wants(ToolRequest("a", "slow", {})))
        async with Office(llm, [tool]).runner() as runner:
            running = asyncio.create_task(turn(runner))
            await has_begun.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            may_end.set()
        assert ended.pop() == how


async def test_what_the_agent_must_not_say_is_replaced_in_writing_too() -> None:
    agent = agent_with(safety={"refuse": ["secret"], "sentence": "I can't say."})
    async with Office(FakeChatter(lambda _: "The secret is out.")).runner() as runner:
        deltas = await turn(runner, agent=agent)

    assert text_of(deltas).strip() == "I can't say."


async def test_closing_the_turn_stops_the_model() -> None:
    llm = FakeChatter(lambda _: "one two three")
    async with Office(llm).runner() as runner, aclosing(runner.run_turn(AGENT, HELLO)) as deltas:
        await anext(deltas)
        assert llm.open_iterators == 1

    assert llm.open_iterators == 0
