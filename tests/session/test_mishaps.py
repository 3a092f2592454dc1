"""When something breaks, the caller hears a sentence and the other calls hear nothing of it."""

import asyncio

import numpy as np

from parley.testing.engines import FakeChatter, broken, last_user_text
from parley.testing.speech import FakeSynthesizer
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import AGENT, FakeHouse, agent_with, start_call


async def test_a_failing_model_is_apologised_for_and_the_call_goes_on(house: FakeHouse):
    def mind(messages):
        return broken("llm") if last_user_text(messages) == "break" else "All well."

    house.llm = FakeChatter(mind)
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        await call.control.ask("break")
        failed = await call.until("call_failed")
        apology = await call.until("turn_ended", count=2)
        await call.control.ask("go on")
        answer = await call.until("turn_ended", count=3)

        assert failed.code == "engine_failed"
        assert apology.heard == AGENT.sorry.llm
        assert answer.heard == "All well."


async def test_a_failing_voice_is_stood_in_for_by_the_spare_one(house: FakeHouse):
    house.agents = [agent_with(greeting="")]
    house.tts = FakeSynthesizer(word_ms=20, piece_ms=20, fails_on="Yes.")
    house.spare_voice = np.full(24_000, 7_000, np.int16).tobytes()
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("anything")
        await call.until("call_failed")
        await call.until("agent_speech_stopped")

        heard = np.frombuffer(bytes(call.transport.heard), np.int16)
        assert np.count_nonzero(heard == 7_000) >= 24_000


async def test_an_engine_that_keeps_failing_ends_the_call(house: FakeHouse):
    house.agents = [agent_with(greeting="")]
    house.llm = FakeChatter(lambda _: broken("llm"))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        for number in range(1, 5):
            await call.control.ask("try")
            await call.until("call_failed", count=number)
        ended = await call.until("call_ended")

        assert ended.reason == "error"


async def test_another_call_is_not_touched(house: FakeHouse):
    def mind(messages):
        return broken("llm") if last_user_text(messages) == "break" else "All well."

    house.agents = [agent_with(greeting="")]
    house.llm = FakeChatter(mind)
    async with house.host() as host:
        breaking, other = start_call(host), start_call(host)
        await asyncio.gather(breaking.until("media_started"), other.until("media_started"))

        await asyncio.gather(breaking.control.ask("break"), other.control.ask("hello"))
        answer = await other.until("turn_ended")
        await breaking.until("call_failed")

        assert answer.heard == "All well."
        assert "call_failed" not in other.names()


async def test_a_turn_of_which_nothing_was_understood_tells_its_stages_too(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        await call.transport.speak(await CallerVoice()("what are your opening hours"))
        await call.transport.speak(bytes(2 * CALLER_HZ * 2))
        apology = await call.until("turn_ended", count=2)

        assert apology.heard == AGENT.sorry.stt
        assert {"endpointing_ms", "silence_ms", "stt_ms", "reply_ms"} <= set(apology.stages)


async def test_what_the_agent_says_of_itself_is_no_reply(house: FakeHouse):
    async with house.host() as host:
        call = start_call(host)
        await call.until("turn_ended")

        await call.control.say("By the way.")
        remark = await call.until("turn_ended", count=2)

        assert remark.stages == {}


async def test_a_voice_that_fails_at_every_sentence_of_a_reply_does_not_end_the_call(
    house: FakeHouse,
):
    house.agents = [agent_with(greeting="")]
    house.tts = FakeSynthesizer(word_ms=20, piece_ms=20, fails_on="Bad")
    replies = iter(["Bad one. Bad two. Bad three. Bad four. Bad five.", "Good again."])
    house.llm = FakeChatter(lambda _: next(replies))
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")

        await call.control.ask("anything")
        await call.until("call_failed", count=5)
        await call.control.ask("and now")
        answer = await call.until("turn_ended")

        assert answer.heard == "Good again."
        assert "call_ended" not in call.names()
