"""Speech in a call: what is played, and that the conversation keeps that and nothing else."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.services.settings import TTSSettings

from parley.engines.spec import SpeechOptions
from parley.testing.speech import FakeSynthesizer
from tests.engines.tts.call import CHUNK_MS, live, speaking_call

SEVEN_WORDS = "One two three four five six seven."


# ── what the conversation keeps ──────────────────────────────────────────────────────────────


async def test_a_reply_that_is_heard_out_is_kept_word_for_word_once():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.reply("Hello, Dr. Smith", ". It's 3:30", " p.m. now; shall", " I go on?")
        await call.kept()

        assert call.said == ["Hello, Dr. Smith. It's 3:30 p.m. now; shall I go on?"]


async def test_sentences_are_played_in_the_order_in_which_they_were_written():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.reply("We are open. ", "Come by at nine. ", "Bye.")
        await call.kept()

        assert engine.texts == ["We are open.", "Come by at nine.", "Bye."]
        assert call.output.words_heard == [1, 2, 3, 1, 2, 3, 4, 1]


@pytest.mark.parametrize(
    ("played_ms", "kept"),
    [
        (200, ["One"]),
        (380, ["One"]),
        (600, ["One two three"]),
        (1400, ["One two three four five six seven."]),
        (1800, ["One two three four five six seven. Eight nine"]),
    ],
)
@pytest.mark.parametrize("rate_hz", [24_000, 22_050, 8_000])
async def test_an_interruption_leaves_exactly_the_words_that_were_played(
    rate_hz: int, played_ms: int, kept: list[str]
):
    engine = FakeSynthesizer(rate_hz=rate_hz)
    async with speaking_call(live(engine)) as call:
        await call.output.hold_back()
        await call.reply(SEVEN_WORDS, " Eight nine ten.")
        await call.output.play(played_ms)
        await call.interrupt()

        assert call.said == kept


async def test_words_that_were_cut_off_do_not_come_back_in_the_next_reply():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.output.hold_back()
        await call.reply(SEVEN_WORDS)
        await call.output.play(400)
        await call.interrupt()
        await call.output.play_all()
        await call.reply("All right then.")
        await call.kept(2)

        assert call.said == ["One two", "All right then."]


async def test_an_interruption_before_the_first_word_ends_keeps_nothing():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.output.hold_back()
        await call.reply(SEVEN_WORDS)
        await call.output.play(100)
        await call.interrupt_unheard()

        assert call.said == []


async def test_an_engine_that_tells_no_words_still_leaves_the_whole_text_at_the_end():
    engine = FakeSynthesizer(tells_words=False)
    async with speaking_call(live(engine)) as call:
        await call.reply(SEVEN_WORDS, " Eight nine ten.")
        await call.kept()

        assert call.said == ["One two three four five six seven. Eight nine ten."]


async def test_an_engine_that_tells_no_words_leaves_its_first_words_when_interrupted():
    engine = FakeSynthesizer(tells_words=False, word_ms=300)
    async with speaking_call(live(engine)) as call:
        await call.reply(SEVEN_WORDS)
        await call.kept()
        await call.output.hold_back()
        await call.reply("Eight nine ten eleven twelve thirteen fourteen.")
        await call.output.play(len(call.output.levels) * CHUNK_MS + 1200)
        await call.interrupt(2)

        told = call.said[1].split()
        assert (
            told
            == ["Eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen."][: len(told)]
        )
        assert 2 <= len(told) <= 5


async def test_a_script_without_spaces_is_kept_without_spaces():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.reply("你好，我是助手。", "今天有什么可以帮您？")
        await call.kept()

        assert call.said == ["你好，我是助手。今天有什么可以帮您？"]


# ── sentences of their own ───────────────────────────────────────────────────────────────────


async def test_a_greeting_is_in_the_conversation_once():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.send(TTSSpeakFrame("Good morning. How can I help?"))
        await call.kept()
        await call.reply("We are open.")
        await call.kept(2)

        assert call.said == ["Good morning. How can I help?", "We are open."]


async def test_a_sentence_beside_the_conversation_is_spoken_and_not_kept():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.send(TTSSpeakFrame("One moment please.", append_to_context=False))
        await call.reply("Here you are.")
        await call.kept()

        assert engine.texts == ["One moment please.", "Here you are."]
        assert call.said == ["Here you are."]


async def test_a_sentence_that_may_not_be_interrupted_is_heard_out_and_kept():
    engine = FakeSynthesizer()
    notice = TTSSpeakFrame("This call is recorded.")
    notice.interruptible = False
    async with speaking_call(live(engine)) as call:
        await call.output.hold_back()
        await call.send(notice)
        await call.output.play(200)
        await call.interrupt()
        await call.output.play_all()
        await call.output.heard(800)
        await call.reply("Hello.")
        await call.kept(2)

        assert call.output.words_heard == [1, 2, 3, 4, 1]
        assert " ".join(call.said) == "This call is recorded. Hello."


# ── what is spoken ───────────────────────────────────────────────────────────────────────────


async def test_markup_code_and_json_are_never_spoken():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.reply(
            "**Sure**, see [our site](https://example.org).\n\n",
            "```python\nprint('a. B')\n``",
            "`\n",
            '{"tool": "book. Now", ',
            '"at": [9]} <b>Done</b> for today.',
        )
        await call.kept()

        assert engine.texts == ["Sure, see our site.", "Done for today."]
        assert call.said == ["Sure, see our site. Done for today."]


@pytest.mark.parametrize("text", ["...", "👍", "```\ncode\n```", "   ", '{"a": 1}'])
async def test_a_text_that_makes_no_sound_is_passed_over_without_an_error(text: str):
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.reply(text)
        await call.send(TTSSpeakFrame(text))
        await call.reply("Hello.")
        await call.kept()

        assert (engine.texts, call.said, call.errors) == (["Hello."], ["Hello."], [])


async def test_the_first_clause_is_spoken_before_its_sentence_is_complete():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.send(LLMFullResponseStartFrame(), LLMTextFrame("Yes of course I can,"))
        await call.send(LLMTextFrame(" and I"))
        await call.seen.wait_for(TTSTextFrame)

        assert engine.texts == ["Yes of course I can,"]

        await call.send(LLMTextFrame(" will."), LLMFullResponseEndFrame())
        await call.kept()

        assert call.said == ["Yes of course I can, and I will."]


async def test_new_options_hold_from_the_next_sentence_on():
    engine = FakeSynthesizer()
    speech = live(engine)
    async with speaking_call(speech) as call:
        await call.reply("As before.")
        await call.kept()
        speech.set_options(SpeechOptions(voice="other", speed=0.8))
        await call.reply("Now slower.")
        await call.kept(2)

        assert engine.options == [SpeechOptions(), SpeechOptions(voice="other", speed=0.8)]


async def test_pipecats_settings_frame_changes_the_voice():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine)) as call:
        await call.send(TTSUpdateSettingsFrame(delta=TTSSettings(voice="other")))
        await call.reply("Hello.")
        await call.kept()

        assert engine.options == [SpeechOptions(voice="other")]
