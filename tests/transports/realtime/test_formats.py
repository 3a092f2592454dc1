"""Sound in and out as PCM and G.711, each side by itself, heard and listened to."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from parley.core.audio import Audio, Resampler
from parley.core.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw
from parley.engines.spec import SpeechOptions, TranscribeOptions
from parley.engines.stt.builtin import SPEC as EARS
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.engines.stt.spoken import finals, hear
from tests.transports.realtime.client import RATE_HZ
from tests.transports.realtime.house import realtime_house

QUESTION = "what are your opening hours"
GRAMMAR = f"#JSGF V1.0; grammar g; public <said> = {QUESTION} | where are you | my name is anna;"
PCM = {"type": "audio/pcm", "rate": 24000}
ULAW, ALAW = {"type": "audio/pcmu"}, {"type": "audio/pcma"}
FORMATS = pytest.mark.parametrize("form", [PCM, ULAW, ALAW], ids=lambda form: form["type"])


def coded(pcm: bytes, form: dict[str, Any]) -> bytes:
    """s16le at 24 kHz as a client of that format sends it."""
    if form == PCM:
        return pcm
    resampler = Resampler(RATE_HZ, 8000)
    narrow = resampler.push(pcm) + resampler.flush()
    return to_ulaw(narrow) if form == ULAW else to_alaw(narrow)


def linear(sound: bytes, form: dict[str, Any]) -> tuple[bytes, int]:
    """What came, as s16le, and its rate."""
    if form == PCM:
        return sound, RATE_HZ
    return (from_ulaw(sound) if form == ULAW else from_alaw(sound)), 8000


@FORMATS
async def test_sound_that_comes_is_heard_whole(
    listening: Listening, words: bytes, form: dict[str, Any]
):
    stt = FakeTranscriber("heard")
    async with realtime_house(listening, stt=stt) as house, house.client() as client:
        shown = await client.update_input(
            turn_detection=None, format=form, transcription={"model": "whisper-1"}
        )
        await client.append(coded(words, form))
        await client.send("input_audio_buffer.commit")
        done = await client.until("conversation.item.input_audio_transcription.completed")

    seconds = len(words) / 2 / RATE_HZ
    assert shown["audio"]["input"]["format"] == form
    assert shown["audio"]["output"]["format"] == PCM
    assert stt.heard_ms[0] / 1000 == pytest.approx(seconds, abs=0.03)
    assert done["usage"]["seconds"] == pytest.approx(seconds, abs=0.03)


@FORMATS
async def test_sound_that_goes_lasts_as_long_and_is_as_loud(
    listening: Listening, form: dict[str, Any]
):
    tts = FakeSynthesizer(word_ms=500, piece_ms=20)
    llm = FakeChatter(lambda _: "one two three.")
    async with realtime_house(listening, llm=llm, tts=tts) as house, house.client() as client:
        shown = await client.update(audio={"output": {"format": form}})
        await client.write("Count.")
        await client.ask()
        pcm, rate_hz = linear(client.sound(), form)

    samples = np.frombuffer(pcm, np.int16)
    middle = [int(np.median(samples[int(at * rate_hz) :][:100])) for at in (0.25, 0.75, 1.25)]
    assert shown["audio"]["output"]["format"] == form
    assert shown["audio"]["input"]["format"] == PCM
    assert len(samples) / rate_hz == pytest.approx(1.5, abs=0.06)
    assert middle == pytest.approx([100, 200, 300], abs=12)


class Recording(FakeSynthesizer):
    """Says the same whatever it is asked to."""

    def __init__(self, pcm: bytes) -> None:
        super().__init__()
        self.pcm = pcm

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        yield Audio(self.pcm, CALLER_HZ)


async def understood(pcm: bytes, rate_hz: int) -> str:
    """The sentence of the grammar that the built-in recogniser hears in the sound."""
    ears = EARS.open(EARS.options(workers=1))
    await ears.warm_up()
    parts = await hear(ears, one_piece(pcm, rate_hz), TranscribeOptions(grammar=GRAMMAR))
    await ears.close()
    return " ".join(finals(parts))


async def one_piece(pcm: bytes, rate_hz: int) -> AsyncGenerator[Audio]:
    yield Audio(pcm, rate_hz)


@FORMATS
async def test_what_is_spoken_can_be_understood(listening: Listening, form: dict[str, Any]):
    quiet = bytes(CALLER_HZ)
    mouth = Recording(quiet + await CallerVoice()(QUESTION) + quiet)
    async with realtime_house(listening, tts=mouth) as house, house.client() as client:
        await client.update(audio={"output": {"format": form}})
        await client.write("Speak.")
        await client.ask()
        pcm, rate_hz = linear(client.sound(), form)

    assert await understood(pcm, rate_hz) == QUESTION
