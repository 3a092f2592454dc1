"""Tools, and a caller who speaks meanwhile; models that want nothing but tools, or say nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parley.core.events import TurnEnded
from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.last_resort import SPEAK_UP
from parley.session.live_tools import MOST_ROUNDS, PATIENCE_ROUNDS
from parley.testing.engines import FakeChatter
from parley.tools.rules import ToolRules
from parley.tools.spec import Tool, ToolCall
from tests.caller_voice import CallerVoice
from tests.session.fakes import FakeHouse, LiveCall, agent_with, start_call
from tests.session.test_fillers import QUICK, Slow, asks_for

QUIET = agent_with(greeting="", fillers=[], still_working=[])


async def until_heard(call: LiveCall, text: str) -> None:
    """Return when a turn has ended of which that was heard. A busy machine tears holes into the
    caller's sound, and one turn becomes two."""
    async for _, event in call.transport.events_from(0):
        if isinstance(event, TurnEnded) and event.heard == text:
            return


def results(messages: list[Message]) -> list[Any]:
    return [message["content"] for message in messages if message["role"] == "tool"]


def ruled(slow: Slow, **rules: Any) -> Tool:
    return ToolRules.model_validate(rules).applied_to(slow.tool())


async def test_an_interruption_cancels_what_may_be_cancelled(house: FakeHouse):
    slow = Slow()
    house.agents, house.llm = [QUIET], asks_for("slow")
    house.tools = [ruled(slow, on_interruption="cancel")]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await slow.begun.wait()
        await call.control.interrupt()
        ended = await call.until("tool_ended")

        assert slow.ended.is_set() and not slow.go_on.is_set()
        assert ended.error == "cancelled"


async def test_what_must_finish_goes_on_and_the_model_knows_that_it_does(house: FakeHouse):
    slow = Slow()
    house.agents, house.llm = [QUIET], asks_for("slow")
    house.tools = [ruled(slow, on_interruption="finish")]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await slow.begun.wait()
        house.llm.mind = lambda _: "It is being done."
        await call.control.ask("hurry up")
        await call.until("turn_ended")
        meanwhile = results(house.llm.asked[-1])
        slow.go_on.set()
        await call.until("tool_ended")
        await call.control.ask("well?")
        await call.until("turn_ended", count=2)

        assert meanwhile[0].startswith("IN_PROGRESS: it goes on")
        assert results(house.llm.asked[-1]) == ['"done"']


async def test_a_silent_finish_says_nothing(house: FakeHouse):
    slow = Slow()
    house.agents = [agent_with(greeting="", fillers=["Wait."], still_working=["Nearly."])]
    house.llm = asks_for("slow")
    house.tools = [replace(ruled(slow, on_interruption="finish"), filler_after_ms=60_000)]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await slow.begun.wait()
        await call.control.fall_silent()
        await slow.calls[0].progress("Three days are free.")
        slow.go_on.set()
        await call.until("tool_ended")
        await call.control.say("Well?")
        await call.until("agent_speech_stopped")

        assert house.tts.texts == ["Well?"]


async def test_every_use_of_a_tool_says_whose_it_is_and_has_a_key_of_its_own(house: FakeHouse):
    calls: list[ToolCall] = []

    async def note(call: ToolCall) -> str:
        calls.append(call)
        return "noted"

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "tool":
            return "Noted."
        return Delta(tools=(ToolRequest("a", "note", {}), ToolRequest("b", "note", {})))

    house.agents, house.llm = [QUIET], FakeChatter(mind)
    house.tools = [Tool("note", "Notes.", note)]
    async with house.host() as host:
        call = start_call(host, tenant="acme")
        await call.until("media_started")

        await call.control.ask("twice")
        await call.until("turn_ended")

        assert {(each.tenant, each.agent) for each in calls} == {("acme", "tester")}
        assert len({each.idempotency_key for each in calls}) == 2
        assert all(len(each.idempotency_key) == 64 for each in calls)


async def test_a_model_that_says_nothing_after_a_tool_is_asked_once_more(house: FakeHouse):
    slow = Slow()
    slow.go_on.set()

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "user":
            return Delta(tools=(ToolRequest("id", "slow", {}),))
        return "It worked." if messages[-1]["content"] == SPEAK_UP else ""

    house.agents, house.llm, house.tools = [QUIET], FakeChatter(mind), [slow.tool()]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        ended = await call.until("turn_ended")

        assert ended.heard == "It worked."


async def test_a_model_that_stays_silent_is_spoken_for(house: FakeHouse):
    slow = Slow()
    slow.go_on.set()

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "user":
            return Delta(tools=(ToolRequest("id", "slow", {}),))
        return ""

    house.agents, house.llm, house.tools = [QUIET], FakeChatter(mind), [slow.tool()]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_speech_stopped")

        assert " ".join(house.tts.texts) == QUIET.sorry.tool


async def test_a_model_that_wants_nothing_but_tools_is_stopped_and_spoken_for(house: FakeHouse):
    slow = Slow()
    slow.go_on.set()

    def mind(messages: list[Message]) -> Delta | str:
        return Delta(tools=(ToolRequest(f"id_{len(messages)}", "slow", {}),))

    house.agents, house.llm, house.tools = [QUIET], FakeChatter(mind), [slow.tool()]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_speech_stopped")

        assert len(slow.calls) == MOST_ROUNDS
        assert call.names().count("tool_refused") == PATIENCE_ROUNDS + 1
        assert " ".join(house.tts.texts) == QUIET.sorry.tool


async def test_a_model_that_is_told_to_answer_may_use_tools_in_the_next_turn(house: FakeHouse):
    slow = Slow()
    slow.go_on.set()

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1]["role"] == "tool" and "often enough" in str(messages[-1]["content"]):
            return "I could not find it."
        return Delta(tools=(ToolRequest(f"id_{len(messages)}", "slow", {}),))

    house.agents, house.llm, house.tools = [QUIET], FakeChatter(mind), [slow.tool()]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("turn_ended")
        await call.control.ask("once more")
        await call.until("turn_ended", count=2)

        assert len(slow.calls) == 2 * MOST_ROUNDS


async def test_what_a_client_writes_into_the_conversation_begins_a_new_count_of_tools(
    house: FakeHouse,
):
    slow = Slow()
    slow.go_on.set()
    house.agents, house.llm, house.tools = [QUIET], asks_for("slow"), [slow.tool()]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        items = call.control.conversation.items

        for turn in range(1, MOST_ROUNDS + 3):
            items.insert(f"item_{turn}", {"role": "user", "content": "do it"})
            await call.control.create_response()
            await call.until("turn_ended", count=turn)

        assert len(slow.calls) == MOST_ROUNDS + 2


async def test_what_finishes_after_a_noise_is_answered_all_the_same(house: FakeHouse):
    slow = Slow()

    def mind(messages: list[Message]) -> Delta | str:
        if messages[-1].get("content") == SPEAK_UP:
            return "Here you are."
        return Delta(tools=(ToolRequest("id_slow", "slow", {}),))

    house.agents, house.llm = [QUIET], FakeChatter(mind)
    house.tools = [ruled(slow, on_interruption="finish")]
    house.stt.texts = []
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await slow.begun.wait()
        await call.transport.speak(await CallerVoice()("what are your opening hours"))
        await until_heard(call, QUIET.sorry.stt)
        slow.go_on.set()
        await until_heard(call, "Here you are.")

        assert len(slow.calls) == 1


async def test_words_of_the_caller_stop_the_tool_and_the_talk_about_waiting(house: FakeHouse):
    slow = Slow()
    house.agents = [agent_with(**QUICK)]
    house.llm, house.tools = asks_for("slow"), [slow.tool()]
    house.stt.texts = ["never mind"]
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("do it")
        await call.until("agent_filler")
        house.llm.mind = lambda _: "All right."
        await call.transport.speak(await CallerVoice()("what are your opening hours"))
        await call.until("turn_ended")

        assert slow.ended.is_set() and not slow.go_on.is_set()
        assert call.names().count("agent_filler") == 1
        assert results(house.llm.asked[-1]) == ["CANCELLED"]
