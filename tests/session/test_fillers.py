"""No dead air: what a caller hears while tools run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from parley.agents.schema import Agent
from parley.core.errors import ToolFailed
from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.waiting_words import waiting_words
from parley.testing.engines import FakeChatter
from parley.testing.speech import LEVEL_STEP
from parley.tools.spec import Tool, ToolCall
from tests.session.fakes import FakeHouse, agent_with, start_call

AT_ONCE_MS = 1
QUICK = {"fillers": ["Wait please."], "still_working": ["Nearly done."], "greeting": ""}


@dataclass
class Slow:
    """A tool that works until it is told to stop; it tells what happens to it."""

    name: str = "slow"
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[ToolCall] = field(default_factory=list)
    result: Any = "done"

    async def run(self, call: ToolCall) -> Any:
        self.calls.append(call)
        self.begun.set()
        try:
            await self.go_on.wait()
        finally:
            self.ended.set()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def tool(self, **rules: Any) -> Tool:
        return Tool(self.name, "Slow.", self.run, **{"filler_after_ms": AT_ONCE_MS, **rules})


def asks_for(*tools: str, answer: str = "Here you are."):
    """A mind that wants those tools, all at once, and then words what came of them."""

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "tool":
            return answer
        return Delta(tools=tuple(ToolRequest(f"id_{name}", name, {}) for name in tools))

    return FakeChatter(mind)


def house_with(house: FakeHouse, *slow: Slow, agent: Agent | None = None, **rules: Any) -> None:
    house.agents = [agent or agent_with(**QUICK)]
    house.tools = [each.tool(**rules) for each in slow]
    house.llm = asks_for(*(each.name for each in slow))


async def test_a_caller_who_waits_hears_so_and_then_the_answer(house: FakeHouse):
    slow = Slow()
    house_with(house, slow)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        filler = await call.until("agent_filler")
        await call.until("agent_speech_stopped")
        slow.go_on.set()
        await call.until("turn_ended")

        assert filler.text == "Wait please."
        assert house.tts.texts == ["Wait please.", "Here you are."]
        assert call.names().count("agent_speech_started") == 2


async def test_the_model_never_sees_what_was_said_in_between(house: FakeHouse):
    slow = Slow()
    house_with(house, slow)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_speech_stopped")
        slow.go_on.set()
        await call.until("turn_ended")
        await call.control.ask("and again?")
        await call.until("agent_filler", count=2)

        roles = [message["role"] for message in house.llm.asked[-1]]
        assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
        assert "Wait" not in str(house.llm.asked[-1])


async def test_an_answer_that_comes_while_it_is_said_follows_it(house: FakeHouse):
    slow = Slow()
    house_with(house, slow)
    house.tts.word_ms = 120
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_speech_started")
        slow.go_on.set()
        await call.until("turn_ended")

        # Two words, then three: each word's level tells which one of its sentence it is.
        assert words_heard(call.transport.heard) == [1, 2, 1, 2, 3]


async def test_an_answer_that_comes_at_once_needs_no_filler(house: FakeHouse):
    slow = Slow()
    house_with(house, slow, filler_after_ms=5000)
    slow.go_on.set()
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("turn_ended")

        assert "agent_filler" not in call.names()
        assert house.tts.texts == ["Here you are."]


async def test_several_tools_run_at_once_and_share_a_filler_and_a_reply(house: FakeHouse):
    one, other = Slow("one"), Slow("other")
    house_with(house, one, other)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("both")
        await asyncio.gather(one.begun.wait(), other.begun.wait())
        await call.until("agent_speech_stopped")
        one.go_on.set()
        await call.until("tool_ended")
        other.go_on.set()
        await call.until("turn_ended")

        assert house.tts.texts == ["Wait please.", "Here you are."]
        assert len(house.llm.asked) == 2
        assert [m["content"] for m in house.llm.asked[-1] if m["role"] == "tool"] == ['"done"'] * 2


async def test_a_tool_has_a_filler_of_its_own(house: FakeHouse):
    slow = Slow()
    house_with(house, slow, filler="I open the diary.")
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        filler = await call.until("agent_filler")

        assert filler.text == "I open the diary."


async def test_what_a_tool_tells_of_itself_is_said_between(house: FakeHouse):
    slow = Slow()
    house_with(house, slow)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_speech_stopped")
        await slow.calls[0].progress("  I found\n three days. ")
        await call.until("agent_speech_stopped", count=2)
        slow.go_on.set()
        await call.until("turn_ended")
        await slow.calls[0].progress("Too late.")

        assert house.tts.texts == ["Wait please.", "I found three days.", "Here you are."]


async def test_what_the_model_says_first_needs_no_filler_behind_it(house: FakeHouse):
    slow = Slow()
    house_with(house, slow)

    def mind(messages: list[Message]) -> Any:
        if messages[-1]["role"] == "tool":
            return "Here you are."
        return [Delta(text="Let me see."), Delta(tools=(ToolRequest("id_slow", "slow", {}),))]

    house.llm = FakeChatter(mind)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await slow.begun.wait()
        await call.until("agent_speech_stopped")
        slow.go_on.set()
        await call.until("turn_ended", count=1)

        assert "agent_filler" not in call.names()


async def test_an_agent_without_fillers_is_silent(house: FakeHouse):
    slow = Slow()
    house_with(house, slow, agent=agent_with(fillers=[], still_working=[], greeting=""))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await slow.begun.wait()
        slow.go_on.set()
        await call.until("turn_ended")

        assert house.tts.texts == ["Here you are."]


async def test_a_failure_ends_the_wait_and_is_told(house: FakeHouse):
    slow = Slow(result=ToolFailed("The diary is closed."))
    house_with(house, slow)
    house.llm = asks_for("slow", answer="The diary is closed today. Shall I call back?")
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_speech_stopped")
        slow.go_on.set()
        await call.until("turn_ended")

        assert house.tts.texts[0] == "Wait please."
        assert " ".join(house.tts.texts[1:]).startswith("The diary is closed today.")


@pytest.mark.parametrize(
    ("language", "first"),
    [
        ("en-GB", "One moment, please."),
        ("de", "Einen Moment, bitte."),
        ("auto", "One moment, please."),
    ],
)
def test_the_words_are_the_language_s_own(language: str, first: str):
    words = waiting_words(agent_with(language=language))

    assert words.fillers[0] == first
    assert words.still_working


def test_nothing_is_said_in_a_language_that_the_agent_does_not_speak():
    words = waiting_words(agent_with(language="fi", still_working=["Hetki vielä."]))

    assert not words.fillers
    assert words.still_working == ("Hetki vielä.",)


def words_heard(pcm: bytes | bytearray) -> list[int]:
    """Which words of their sentences were heard, in order. A word that a busy machine has torn
    apart is one word."""
    levels = np.round(np.frombuffer(bytes(pcm), np.int16) / LEVEL_STEP).astype(int)
    heard = [int(level) for level in levels[::240] if level]
    return [level for level, before in zip(heard, [0, *heard], strict=False) if level != before]
