"""Speech in a call: how its sound leaves, and what a page is told of it."""

from __future__ import annotations

import time

import pytest
from pipecat.frames.frames import OutputTransportMessageUrgentFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed

from parley.engines.tts.live import LiveAudioFrame, LiveSpeech
from parley.testing.speech import LEVEL_STEP, FakeSynthesizer
from tests.engines.tts.call import CHUNK_MS, RATE_HZ, live, speaking_call

SEVEN_WORDS = "One two three four five six seven."


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
