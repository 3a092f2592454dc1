"""Transcription over HTTP, through the official client: every container, form and refusal."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from openai.types.audio import Transcription, TranscriptionVerbose

from parley.core.audio import Audio
from parley.engines.spec import TranscribeOptions, TranscriptPart, Word
from parley.testing.engines import FakeTranscriber, broken
from tests.api.openai.served import (
    OneEngine,
    encoded,
    serving,
)
from tests.caller_voice import CallerVoice

SAID = "I would like to book a table for two. Tomorrow at seven, please."
CONTAINERS = {
    "wav": ("wav", "pcm_s16le", 16_000),
    "wav float 44.1 kHz": ("wav", "pcm_f32le", 44_100),
    "mp3": ("mp3", "libmp3lame", 24_000),
    "mpga": ("mp2", "mp2", 24_000),
    "flac": ("flac", "flac", 16_000),
    "ogg opus": ("ogg", "libopus", 48_000),
    "ogg vorbis": ("ogg", "vorbis", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "m4a": ("ipod", "aac", 44_100),
    "mp4": ("mp4", "aac", 48_000),
    "mov": ("mov", "pcm_s16le", 8000),
    "mpeg": ("mpeg", "mp2", 48_000),
    "aac": ("adts", "aac", 16_000),
    "aiff": ("aiff", "pcm_s16be", 16_000),
    "wav a-law": ("wav", "pcm_alaw", 8000),
}


@pytest.fixture(scope="module")
def speech() -> bytes:
    return asyncio.run(CallerVoice()(SAID))


@pytest.fixture(scope="module")
def wav(speech: bytes) -> bytes:
    return encoded(speech, "wav", "pcm_s16le")


class WordTeller(FakeTranscriber):
    """Tells of two words in the first second of whatever it hears."""

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        async for _ in audio:
            pass
        words = (Word("Good", 100, 400), Word("day", 400, 900))
        yield TranscriptPart("Good day", True, 100, 900, words)


def seconds(pcm: bytes) -> float:
    return len(pcm) / 32_000


# ── what can be sent ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CONTAINERS)
async def test_every_container_is_heard_whole(speech: bytes, name: str) -> None:
    engine = FakeTranscriber("I heard it")
    container, codec, rate_hz = CONTAINERS[name]
    file = encoded(speech, container, codec, rate_hz)

    async with serving(OneEngine(hears=engine)) as (_, client):
        # The official client calls bytes "upload" and tells no type.
        heard = await client.audio.transcriptions.create(model="whisper-1", file=file)

    assert heard.text == "I heard it"
    assert engine.heard_ms == [pytest.approx(seconds(speech) * 1000, abs=120)]


@pytest.mark.parametrize("container", ["ogg", "webm", "mp4", "wav"])
async def test_a_file_that_breaks_off_is_heard_as_far_as_it_goes(
    speech: bytes, container: str
) -> None:
    engine = FakeTranscriber("half of it")
    codec = {"wav": "pcm_s16le", "mp4": "aac"}.get(container, "libopus")
    whole = encoded(speech, container, codec, 48_000)
    file = whole[: len(whole) * 6 // 10]

    async with serving(OneEngine(hears=engine)) as (_, client):
        if container == "mp4":
            # Its table of contents is at the end.
            with pytest.raises(openai.APIStatusError) as caught:
                await client.audio.transcriptions.create(model="m", file=file)
            assert caught.value.status_code == 415
            return
        heard = await client.audio.transcriptions.create(model="m", file=file)

    assert heard.text == "half of it"
    assert 0.3 < engine.heard_ms[0] / 1000 / seconds(speech) < 0.8


async def test_samples_without_a_header_are_believed_their_type(speech: bytes) -> None:
    engine = FakeTranscriber("a", "b")

    async with serving(OneEngine(hears=engine)) as (_, client):
        for kind in ("audio/pcm", "audio/raw; rate=8000"):
            file = ("sound.pcm", speech, kind)
            await client.audio.transcriptions.create(model="m", file=file)

    length_ms = seconds(speech) * 1000
    assert engine.heard_ms == [pytest.approx(length_ms, abs=5), pytest.approx(2 * length_ms, abs=5)]


async def test_silence_is_no_text_and_no_work() -> None:
    engine = FakeTranscriber("never said")
    silence = encoded(bytes(32_000 * 3), "wav", "pcm_s16le")

    async with serving(OneEngine(hears=engine)) as (_, client):
        bare = await client.audio.transcriptions.create(model="m", file=silence)
        text = await client.audio.transcriptions.create(
            model="m", file=silence, response_format="text"
        )
        verbose = await client.audio.transcriptions.create(
            model="m", file=silence, response_format="verbose_json"
        )

    assert (bare.text, text, verbose.text, verbose.segments) == ("", "\n", "", [])
    assert engine.asked == 0


async def test_a_long_recording_is_heard_in_parts_that_leave_nothing_out(speech: bytes) -> None:
    engine = FakeTranscriber(*(f"part {number}" for number in range(1, 9)))
    long = (speech + bytes(16_000)) * 20
    file = encoded(long, "flac", "flac")

    async with serving(OneEngine(hears=engine)) as (_, client):
        heard = await client.audio.transcriptions.create(model="m", file=file)

    assert sum(engine.heard_ms) == pytest.approx(seconds(long) * 1000, abs=50)
    assert max(engine.heard_ms) <= 30_000
    assert heard.text == " ".join(f"part {n}" for n in range(1, engine.asked + 1))


# ── what comes back ──────────────────────────────────────────────────────────────────────────


async def test_json_tells_text_and_seconds(wav: bytes, speech: bytes) -> None:
    async with serving(OneEngine(hears=FakeTranscriber("Grüße, 你好"))) as (_, client):
        heard = await client.audio.transcriptions.create(model="m", file=wav)

    assert isinstance(heard, Transcription)
    Transcription.model_validate(heard.model_dump())
    assert heard.text == "Grüße, 你好"
    assert heard.usage is not None
    assert heard.usage.type == "duration"
    assert 0 <= heard.usage.seconds - seconds(speech) < 1
    assert heard._request_id


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("text", "One.\n"),
        (
            "srt",
            "1\n{0} --> {1}\nOne.\n\n2\n{2} --> {3}\nTwo.\n\n",
        ),
        ("vtt", "WEBVTT\n\n{0} --> {1}\nOne.\n\n{2} --> {3}\nTwo.\n\n"),
    ],
)
async def test_plain_forms_come_as_they_are(speech: bytes, form: Any, body: str) -> None:
    pause = bytes(32_000)
    file = encoded(speech[: 32_000 * 2] + pause + speech[: 32_000 * 2], "wav", "pcm_s16le")

    async with serving(OneEngine(hears=FakeTranscriber("One.", "Two."))) as (_, client):
        got = await client.audio.transcriptions.create(model="m", file=file, response_format=form)

    clocks = [line.split(" --> ") for line in str(got).splitlines() if "-->" in line]
    assert got == body.format(*(clock for pair in clocks for clock in pair))
    if clocks:
        (start, end), (later, last) = clocks
        assert start < end < later < last
        assert len(start) == len("00:00:00,000")


async def test_verbose_json_has_segments_by_the_recordings_time(speech: bytes) -> None:
    pause = bytes(32_000 * 2)
    file = encoded(pause + speech[: 32_000 * 2], "wav", "pcm_s16le")

    async with serving(OneEngine(hears=FakeTranscriber("One."))) as (_, client):
        heard = await client.audio.transcriptions.create(
            model="m", file=file, response_format="verbose_json", language="de"
        )

    assert isinstance(heard, TranscriptionVerbose)
    TranscriptionVerbose.model_validate(heard.model_dump())
    assert (heard.text, heard.language) == ("One.", "german")
    assert heard.duration == pytest.approx(4.0, abs=0.05)
    assert heard.segments is not None
    (segment,) = heard.segments
    assert 1.5 < segment.start < 2.2
    assert 3.0 < segment.end <= 4.0
    assert heard.words is None


async def test_words_have_times_where_the_engine_can_tell(wav: bytes) -> None:
    desk = OneEngine(hears=WordTeller(), abilities=frozenset({"words"}))

    async with serving(desk) as (_, client):
        heard = await client.audio.transcriptions.create(
            model="m",
            file=wav,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )

    assert heard.words is not None
    assert [word.word for word in heard.words][:2] == ["Good", "day"]
    first = heard.words[0]
    assert first.end - first.start == pytest.approx(0.3)


async def test_a_stream_has_a_delta_for_each_utterance(speech: bytes) -> None:
    pause = bytes(32_000)
    file = encoded(speech[: 32_000 * 2] + pause + speech[: 32_000 * 2], "wav", "pcm_s16le")

    async with serving(OneEngine(hears=FakeTranscriber("One.", "Two."))) as (_, client):
        stream = await client.audio.transcriptions.create(model="m", file=file, stream=True)
        events = [event async for event in stream]

    assert [event.type for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert "".join(event.delta for event in events[:2]) == "One. Two."  # type: ignore[union-attr]
    assert events[-1].text == "One. Two."
    assert events[-1].usage.total_tokens > 0  # type: ignore[union-attr]


async def test_a_failure_amid_a_stream_is_raised_by_the_client(speech: bytes) -> None:
    pause = bytes(32_000)
    file = encoded(speech[: 32_000 * 2] + pause + speech[: 32_000 * 2], "wav", "pcm_s16le")
    engine = FakeTranscriber("One.", broken("stt"))

    async with serving(OneEngine(hears=engine)) as (_, client):
        stream = await client.audio.transcriptions.create(model="m", file=file, stream=True)
        with pytest.raises(openai.APIError, match="broke"):
            _ = [event async for event in stream]


async def test_translation_is_asked_of_an_engine_that_can(wav: bytes) -> None:
    engine = FakeTranscriber("Good day")
    desk = OneEngine(hears=engine, abilities=frozenset({"translate"}))

    async with serving(desk) as (_, client):
        with pytest.warns(DeprecationWarning):
            heard = await client.audio.translations.create(
                model="m", file=wav, response_format="verbose_json"
            )

    assert engine.options[0].translate
    assert (heard.text, heard.language) == ("Good day", "english")


async def test_the_engine_is_told_language_and_prompt(wav: bytes) -> None:
    engine = FakeTranscriber("x")

    async with serving(OneEngine(hears=engine)) as (_, client):
        await client.audio.transcriptions.create(
            model="m",
            file=wav,
            language="German",
            prompt="A booking.",
            temperature=0.0,
            chunking_strategy="auto",
            include=["logprobs"],
            extra_body={"keywords": ["Ravioli", "Tiramisu"]},
        )

    assert engine.options == [
        TranscribeOptions(language="de", prompt="A booking. Ravioli, Tiramisu", tenant="default")
    ]


async def test_speech_that_was_streamed_as_wav_can_be_sent_back(speech: bytes) -> None:
    engine = FakeTranscriber("again")
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(speech)
    endless = bytearray(sink.getvalue())
    endless[4:8] = endless[40:44] = b"\xff" * 4

    async with serving(OneEngine(hears=engine)) as (_, client):
        await client.audio.transcriptions.create(model="m", file=bytes(endless))

    assert engine.heard_ms == [pytest.approx(seconds(speech) * 1000, abs=50)]


# ── when somebody speaks ─────────────────────────────────────────────────────────────────────


async def test_timestamps_tell_when_somebody_speaks(speech: bytes) -> None:
    pause = bytes(32_000 * 2)
    file = encoded(pause + speech[:64_000] + pause + speech[:64_000], "flac", "flac")

    async with serving(OneEngine()) as (server, _), httpx2.AsyncClient() as http:
        url = f"{server.url}/v1/audio/speech/timestamps"
        answer = await http.post(url, files={"file": ("a.flac", file)})
        strict = await http.post(url, files={"file": ("a.flac", file)}, data={"threshold": "7"})

    spans = json.loads(answer.content)
    assert [round(span["start"] / 1000) for span in spans] == [2, 6]
    assert [round(span["end"] / 1000) for span in spans] == [4, 8]
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "threshold")


def test_the_test_speech_is_speech(speech: bytes) -> None:
    assert np.abs(np.frombuffer(speech, np.int16)).max() > 3000
