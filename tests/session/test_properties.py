"""The correctness properties of requirement 001 that are the session's."""

import asyncio
import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, last_user_text
from tests.session.fakes import FakeHouse, agent_with, start_call

EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORDS = st.lists(
    st.text(alphabet="abcdefghijklmnop", min_size=1, max_size=6), min_size=1, max_size=4
)
TEXTS = WORDS.map(" ".join)


# Feature: pipecat-voice-agent, Property 2: Agent Session Greeting
@EXAMPLES
@given(greeting=TEXTS)
def test_every_connected_caller_is_greeted_once(listening: Listening, greeting: str):
    async def connect_and_listen() -> None:
        house = FakeHouse(listening, agents=[agent_with(greeting=greeting)])
        async with house.host() as host:
            call = start_call(host)
            ended = await call.until("turn_ended")

            assert ended.heard == greeting
            assert house.tts.texts == [greeting]
            assert call.names().count("media_started") == 1
            assert any(call.transport.heard)

    asyncio.run(connect_and_listen())


# Feature: pipecat-voice-agent, Property 3: Agent Session Cleanup
@EXAMPLES
@given(
    leaves_during=st.sampled_from(["call_started", "media_started", "agent_text", "turn_ended"]),
    reason=st.sampled_from(["caller", "error"]),
    after_ms=st.integers(0, 80),
)
def test_a_caller_who_leaves_at_any_time_leaves_nothing_behind(
    listening: Listening, leaves_during: str, reason: str, after_ms: int
):
    async def call_and_leave() -> None:
        house = FakeHouse(listening)
        async with house.host() as host:
            tasks = asyncio.all_tasks()
            call = start_call(host)
            await call.until(leaves_during)
            await asyncio.sleep(after_ms / 1000)
            call.transport.leave(reason)
            async with asyncio.timeout(5):
                await host.drain(5)

            assert call.transport.ended_with == reason
            assert call.names().count("call_ended") == 1
            assert asyncio.all_tasks() == tasks
            assert house.tts.open_iterators == 0
            assert house.llm.open_iterators == 0

    threads = {thread.name for thread in threading.enumerate()}
    asyncio.run(call_and_leave())
    left = {thread.name for thread in threading.enumerate()} - threads
    assert all(name.startswith("smart-turn") for name in left)


# Feature: pipecat-voice-agent, Property 4: Conversation Context Preservation
@EXAMPLES
@given(said=st.lists(TEXTS, min_size=1, max_size=4))
def test_the_model_sees_every_message_in_order(listening: Listening, said: list[str]):
    async def talk() -> None:
        house = FakeHouse(listening, agents=[agent_with(greeting="")])
        house.llm = FakeChatter(lambda messages: f"heard {last_user_text(messages)}")
        async with house.host() as host:
            call = start_call(host)
            await call.until("media_started")
            for number, text in enumerate(said, start=1):
                await call.control.ask(text)
                await call.until("turn_ended", count=number)

            conversation = [(m["role"], m["content"]) for m in house.llm.asked[-1]]
            expected = [("system", "You are a test.\n\nAnswer in English (en).")]
            for text in said[:-1]:
                expected += [("user", text), ("assistant", f"heard {text}")]
            assert conversation == [*expected, ("user", said[-1])]

    asyncio.run(talk())


# Feature: pipecat-voice-agent, Property 10: Concurrent Session Isolation
@EXAMPLES
@given(said=st.lists(TEXTS, min_size=2, max_size=4, unique=True))
def test_calls_at_the_same_time_know_nothing_of_each_other(listening: Listening, said: list[str]):
    async def talk_at_once() -> None:
        house = FakeHouse(listening, agents=[agent_with(greeting="")])
        house.llm = FakeChatter(lambda messages: f"heard {last_user_text(messages)}")
        async with house.host() as host:
            calls = [start_call(host) for _ in said]
            for call in calls:
                await call.until("media_started")
            await asyncio.gather(
                *(call.control.ask(text) for call, text in zip(calls, said, strict=True))
            )
            ended = await asyncio.gather(*(call.until("turn_ended") for call in calls))

            assert [event.heard for event in ended] == [f"heard {text}" for text in said]
            assert len({event.call_id for event in ended}) == len(said)
            for asked in house.llm.asked:
                assert len([m for m in asked if m["role"] == "user"]) == 1

    asyncio.run(talk_at_once())
