"""Speech in a call: what is played, and that the conversation keeps that and nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputTransportMessageUrgentFrame,
    TTSSpeakFrame,
    TTSTextFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.services.settings import TTSSettings

from parley.engines.spec import SpeechOptions
from parley.engines.tts.live import LiveAudioFrame, LiveSpeech
from parley.testing.speech import LEVEL_STEP, FakeSynthesizer
from tests.engines.tts.call import CHUNK_MS, RATE_HZ, speaking_call

SEVEN_WORDS = "One two three four five six seven."


def live(engine: FakeSynthesizer, **changes: object) -> LiveSpeech:
    given = {"sentence_gap_ms": 0, **changes}
    return LiveSpeech(engine, SpeechOptions(), output_rate_hz=RATE_HZ, **given)  # type: ignore[arg-type]


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


# ── sound ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rate_hz", [24_000, 22_050, 16_000])
async def test_sound_leaves_at_the_outputs_rate_in_whole_chunks_and_nothing_is_lost(rate_hz: int):
    engine = FakeSynthesizer(rate_hz=rate_hz, word_ms=210)
    async with speaking_call(live(engine)) as call:
        await call.reply(SEVEN_WORDS)
        await call.kept()

        sounds = [frame for frame in call.seen.frames if isinstance(frame, LiveAudioFrame)]
        sent = [frame for frame in sounds if frame.context_id]
        chunk = RATE_HZ * CHUNK_MS // 1000
        assert {frame.sample_rate for frame in sent} == {RATE_HZ}
        assert all(frame.num_frames % chunk == 0 for frame in sent)
        assert 0 <= sum(frame.num_frames for frame in sent) - 7 * 210 * RATE_HZ // 1000 < chunk


async def test_there_is_a_gap_between_sentences_and_none_before_the_first_or_between_clauses():
    engine = FakeSynthesizer(word_ms=100)
    async with speaking_call(live(engine, sentence_gap_ms=60)) as call:
        await call.reply("Just so. ", "Well. ", "And if you like it,", " then fine.")
        await call.kept()

        heard = [level // LEVEL_STEP for level in call.output.levels]
        gaps = [i * CHUNK_MS for i, level in enumerate(heard) if not level]
        assert gaps == [200, 220, 240, 360, 380, 400]


async def test_a_sound_frame_is_written_in_logs_by_its_name_alone():
    frame = LiveAudioFrame(b"\0\0" * 480, RATE_HZ, 1)

    assert f"{frame}" == frame.name


class Lead(BaseObserver):
    """The most sound that was ahead of the clock, which runs from before the reply."""

    def __init__(self) -> None:
        super().__init__()
        self.most_ms = 0.0
        self._sent_ms = 0.0
        self._since_s = time.monotonic()

    async def on_push_frame(self, data: FramePushed) -> None:
        frame = data.frame
        if isinstance(data.source, LiveSpeech) and isinstance(frame, LiveAudioFrame):
            self._sent_ms += frame.num_frames * 1000 / frame.sample_rate
            elapsed_ms = (time.monotonic() - self._since_s) * 1000
            self.most_ms = max(self.most_ms, self._sent_ms - elapsed_ms)


async def test_sound_never_runs_further_ahead_than_it_may_and_all_of_it_comes():
    engine = FakeSynthesizer(word_ms=80)
    async with speaking_call(live(engine, max_ahead_ms=200)) as call:
        lead = Lead()
        call.worker.add_observer(lead)
        await call.reply(SEVEN_WORDS)
        await call.kept()

        assert call.said == [SEVEN_WORDS]
        assert 0 < lead.most_ms <= 200


async def test_an_interruption_ends_the_wait_for_room_and_closes_the_engines_iterator():
    engine = FakeSynthesizer(word_ms=60_000)
    async with speaking_call(live(engine, max_ahead_ms=1000)) as call:
        await call.output.hold_back()
        await call.reply(SEVEN_WORDS)
        await call.output.play(400)
        assert engine.open_iterators == 1
        await call.interrupt_unheard()

        assert engine.open_iterators == 0


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


# ── RTVI ─────────────────────────────────────────────────────────────────────────────────────


async def test_rtvi_tells_a_page_each_sentence_and_how_far_it_has_been_spoken():
    engine = FakeSynthesizer()
    async with speaking_call(live(engine), uses_rtvi=True) as call:
        call.worker.rtvi._client_version = [2, 1, 0]  # pyright: ignore[reportPrivateUsage]
        await call.reply("Hello there. ", "Bye.")
        await call.kept()

        frames = call.seen.of(OutputTransportMessageUrgentFrame)
        messages = [f.message for f in frames if isinstance(f, OutputTransportMessageUrgentFrame)]
        outputs = [message["data"] for message in messages if message["type"] == "bot-output"]
        progress = [(o["text"], o["spoken_progress"]["accumulated_text"]) for o in outputs]
        assert progress == [
            ("Hello there.", ""),
            ("Hello there.", "Hello "),
            ("Hello there.", "Hello there."),
            ("Bye.", ""),
            ("Bye.", "Bye."),
        ]
        spoken = [m["data"]["text"] for m in messages if m["type"] == "bot-tts-text"]
        assert spoken == ["Hello", "there.", "Bye."]
