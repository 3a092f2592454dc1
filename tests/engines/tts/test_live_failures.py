"""Speech in a call: when the engine breaks, and when the call ends."""

from __future__ import annotations

import asyncio

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)

from parley.testing.speech import FakeSynthesizer
from tests.engines.tts.call import live, speaking_call

SEVEN_WORDS = "One two three four five six seven."


# ── when the engine breaks ───────────────────────────────────────────────────────────────────


async def test_a_sentence_that_fails_is_reported_and_the_next_one_is_spoken():
    engine = FakeSynthesizer(fails_on="Broken")
    async with speaking_call(live(engine)) as call:
        await call.reply("Broken one. ", "This is fine.")
        await call.kept()

        assert call.errors == ["Speech failed: The fake engine broke, as it was told to."]
        assert call.said == ["This is fine."]


async def test_an_engine_that_fails_at_the_last_sentence_leaves_no_audio_context_open():
    engine = FakeSynthesizer(fails_on="Broken")
    speech = live(engine)
    async with speaking_call(speech) as call:
        await call.reply("This is fine. ", "Broken one.")
        await call.kept()
        await call.send(TTSSpeakFrame("Broken greeting."))
        await call.seen.wait_for(ErrorFrame, 2)
        await call.reply("Still here.")
        await call.kept(2)

        assert call.said == ["This is fine.", "Still here."]
        assert speech.get_audio_contexts() == []


async def test_a_sentence_that_breaks_off_is_kept_as_far_as_it_was_heard():
    engine = FakeSynthesizer(fails_on="three", fails_after_words=2)
    async with speaking_call(live(engine)) as call:
        await call.reply(SEVEN_WORDS)
        await call.kept()

        assert call.said == ["One two"]
        assert engine.open_iterators == 0


async def test_an_engine_that_hangs_is_given_up_and_the_next_sentence_is_spoken():
    engine = FakeSynthesizer(hangs_on="Stuck")
    async with speaking_call(live(engine, engine_timeout_s=0.05)) as call:
        await call.reply("Stuck here. ", "This is fine.")
        await call.kept()

        assert call.errors == ["Speech failed: The engine made no sound for 0.05 s."]
        assert call.said == ["This is fine."]
        assert engine.open_iterators == 0


async def test_an_engine_that_always_fails_is_asked_every_time():
    engine = FakeSynthesizer(fails_on="e")
    async with speaking_call(live(engine)) as call:
        for number in range(1, 6):
            await call.reply("Hello there.")
            await call.seen.wait_for(ErrorFrame, number)

        assert len(engine.texts) == 5
        assert call.speech.is_usable


# ── the end ──────────────────────────────────────────────────────────────────────────────────


async def test_an_end_lets_the_last_reply_be_heard_and_leaves_nothing_behind():
    engine = FakeSynthesizer()
    before = asyncio.all_tasks()
    async with speaking_call(live(engine)) as call:
        await call.reply("Goodbye then.")
        await call.send(EndFrame())
        await call.seen.wait_for(EndFrame)
        await call.kept()

        assert call.output.words_heard == [1, 2]
    assert engine.open_iterators == 0
    assert asyncio.all_tasks() == before


async def test_an_end_in_mid_reply_is_not_kept_waiting_for_the_rest():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.send(LLMFullResponseStartFrame(), LLMTextFrame("Well then. And"))
        await call.seen.wait_for(TTSTextFrame)
        await call.send(EndFrame())
        await call.kept()

        assert call.said == ["Well then."]


async def test_a_cancelled_call_closes_the_engines_iterator_and_leaves_no_task():
    engine = FakeSynthesizer(word_ms=60_000)
    before = asyncio.all_tasks()
    async with speaking_call(live(engine, max_ahead_ms=500)) as call:
        await call.reply(SEVEN_WORDS)
        await call.output.heard(200)

    assert engine.open_iterators == 0
    assert asyncio.all_tasks() == before
