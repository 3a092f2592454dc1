"""Sound in and out as PCM and G.711, each side by itself, heard and listened to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parley.core.audio import Resampler, loudness
from parley.core.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.builtin import SPEC as EARS
from parley.engines.tts.builtin import SPEC as MOUTH
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.transports.realtime.client import RATE_HZ
from tests.transports.realtime.house import realtime_house

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


@pytest.mark.parametrize("form", [PCM, ULAW], ids=lambda form: form["type"])
async def test_what_is_spoken_can_be_understood(listening: Listening, form: dict[str, Any]):
    mouth = MOUTH.open(MOUTH.options())
    await mouth.warm_up()
    llm = FakeChatter(lambda _: "What are your opening hours?")
    async with realtime_house(listening, llm=llm, tts=mouth) as house, house.client() as client:
        await client.update(audio={"output": {"format": form}})
        await client.write("Speak.")
        await client.ask()
        pcm, rate_hz = linear(client.sound(), form)
    await mouth.close()

    assert loudness(pcm) > 0.02
    assert 1.0 < len(pcm) / 2 / rate_hz < 4.0
    assert EARS and TranscribeOptions
