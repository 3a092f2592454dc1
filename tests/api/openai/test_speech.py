"""Speech over HTTP, through the official client: whole, streamed, refused and broken off."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx2
import numpy as np
import openai
import pytest

from parley.core.audio import Audio
from parley.engines.spec import SpeechOptions, Status, Voice
from parley.testing.speech import FakeSynthesizer
from tests.api.openai.served import OneEngine, decoded, in_time, serving
from tests.caller_voice import CALLER_HZ, CallerVoice

SAID = "Good morning. Your table is ready, and the soup is hot."
FORMATS = ("mp3", "opus", "aac", "flac", "wav")


class Tap:
    """Gives 100 ms of sound whenever it is turned; ``made`` counts those."""

    def __init__(self) -> None:
        self.turns = asyncio.Queue[bool]()
        self.made = 0
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()

    def give(self, pieces: int) -> None:
        for _ in range(pieces):
            self.turns.put_nowait(True)

    def end(self) -> None:
        self.turns.put_nowait(False)

    async def warm_up(self) -> None: ...

    async def check(self) -> Status:
        return Status(True)

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        self.opened.set()
        try:
            while await self.turns.get():
                self.made += 1
                noise = np.random.default_rng(self.made).integers(-9000, 9000, 2400, np.int16)
                yield Audio(noise.tobytes(), 24_000)
        finally:
            self.closed.set()

    def voices(self) -> Sequence[Voice]:
        return ()

    async def close(self) -> None: ...


class Parrot(FakeSynthesizer):
    """Says the one thing that it was taught, whatever it is asked: eSpeak varies."""

    def __init__(self, pcm: bytes) -> None:
        super().__init__()
        self.pcm = pcm

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        for at in range(0, len(self.pcm), 1280):
            yield Audio(self.pcm[at : at + 1280], CALLER_HZ)


def likeness(heard: np.ndarray, plain: np.ndarray) -> float:
    """How alike two sounds' loudness runs, whatever silence an encoder puts in front."""
    frame, room = 120, 24
    powers = [
        np.sqrt((sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1))
        for sound in (heard, plain)
    ]
    length = min(len(power) for power in powers) - room
    return max(
        float(np.corrcoef(powers[0][shift:][:length], powers[1][:length])[0, 1])
        for shift in range(room)
    )


async def test_every_format_holds_the_same_sound() -> None:
    desk = OneEngine(speaks=Parrot(await CallerVoice()(SAID)))

    async with serving(desk) as (_, client):
        said: dict[str, Any] = {"model": "tts-1", "voice": "fake", "input": SAID}
        files = {
            name: (await client.audio.speech.create(**said, response_format=name)).content
            for name in (*FORMATS, "pcm")
        }

    pcm = np.frombuffer(files["pcm"], np.int16).astype(np.float32) / 32768
    assert 2.5 < len(pcm) / 24_000 < 5
    for name in FORMATS:
        heard = decoded(files[name], 24_000)
        assert len(heard) == pytest.approx(len(pcm), abs=3000), name
        assert likeness(heard, pcm) > 0.96, name


@pytest.mark.parametrize(
    ("name", "kind", "magic"),
    [
        ("mp3", "audio/mpeg", b"\xff\xf3"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("aac", "audio/aac", b"\xff\xf1"),
        ("flac", "audio/flac", b"fLaC"),
        ("wav", "audio/wav", b"RIFF"),
        ("pcm", "audio/pcm", b""),
    ],
)
async def test_files_begin_as_their_format_does_and_say_what_they_are(
    name: Any, kind: str, magic: bytes
) -> None:
    desk = OneEngine(speaks=FakeSynthesizer())

    async with serving(desk) as (_, client):
        answer = await client.audio.speech.create(
            model="tts-1", voice="fake", input="one two three", response_format=name
        )

    assert answer.response.headers["content-type"] == kind
    assert answer.response.headers["x-request-id"].startswith("req_")
    assert answer.content.startswith(magic)


async def test_wav_says_its_rate_and_that_its_length_is_not_known() -> None:
    desk = OneEngine(speaks=FakeSynthesizer(word_ms=200))

    async with serving(desk) as (_, client):
        answer = await client.audio.speech.create(
            model="m",
            voice="fake",
            input="one two",
            response_format="wav",
            extra_body={"sample_rate": 8000},
        )

    wav = answer.content
    assert struct.unpack("<4sI4s", wav[:12]) == (b"RIFF", 0xFFFFFFFF, b"WAVE")
    assert struct.unpack("<HHI", wav[20:28]) == (1, 1, 8000)
    assert len(wav) - 44 == pytest.approx(400 * 16, abs=64)


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_sound_arrives_while_more_is_made(name: Any) -> None:
    tap = Tap()
    desk = OneEngine(speaks=tap)

    async with serving(desk) as (_, client):
        tap.give(12)
        asked = client.audio.speech.with_streaming_response.create(
            model="m", voice="any", input="a long story", response_format=name
        )
        async with asked as answer:
            pieces = answer.iter_bytes()
            first = await anext(pieces)
            made_by_then, was_over = tap.made, tap.closed.is_set()
            tap.give(3)
            tap.end()
            rest = b"".join([piece async for piece in pieces])

    assert first
    assert made_by_then <= 12
    assert not was_over
    assert len(rest) > 0
    assert tap.made == 15


async def test_events_carry_the_same_file_and_end_with_the_usage() -> None:
    desk = OneEngine(speaks=FakeSynthesizer())
    said: dict[str, Any] = {"model": "m", "voice": "fake", "input": "one two", "speed": 1}

    async with serving(desk) as (_, client):
        whole = await client.audio.speech.create(**said, response_format="pcm")
        streamed = await client.audio.speech.create(
            **said, response_format="pcm", stream_format="sse"
        )

    lines = [line for line in streamed.text.splitlines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    deltas = [event for event in events if event["type"] == "speech.audio.delta"]
    assert b"".join(base64.b64decode(each["audio"]) for each in deltas) == whole.content
    assert events[-1]["type"] == "speech.audio.done"
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


async def test_the_engine_is_told_voice_speed_instructions_and_language() -> None:
    engine = FakeSynthesizer()

    async with serving(OneEngine(speaks=engine)) as (_, client):
        await client.audio.speech.create(
            model="m",
            voice={"id": "fake"},
            input="**Hello** there",
            speed=1.5,
            instructions="whisper",
            extra_body={"language": "en-GB", "unheard_of": 1},
        )

    assert engine.texts == ["Hello there"]
    assert engine.options == [SpeechOptions("fake", 1.5, "en-GB", "whisper", tenant="default")]


@pytest.mark.parametrize(
    ("wrong", "kind", "code", "param"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model_not_found", "model"),
        ({"voice": "nemo"}, openai.BadRequestError, "invalid_value", "voice"),
        ({"voice": {"name": "x"}}, openai.BadRequestError, "invalid_value", "voice"),
        ({"input": " "}, openai.BadRequestError, "invalid_value", "input"),
        ({"input": "a" * 4097}, openai.BadRequestError, "string_above_max_length", "input"),
        ({"input": 3}, openai.BadRequestError, "invalid_value", "input"),
        ({"speed": 4.5}, openai.BadRequestError, "invalid_value", "speed"),
        ({"response_format": "ogg"}, openai.BadRequestError, "invalid_value", "response_format"),
        (
            {"extra_body": {"sample_rate": 9000}},
            openai.BadRequestError,
            "unsupported_value",
            "sample_rate",
        ),
        ({"extra_body": {"input": None}}, openai.BadRequestError, "invalid_value", "input"),
    ],
)
async def test_what_is_wrong_is_named(
    wrong: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str
) -> None:
    desk = OneEngine(speaks=FakeSynthesizer())
    said: dict[str, Any] = {"model": "m", "voice": "fake", "input": "Hello"}

    async with serving(desk) as (_, client):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.speech.create(**{**said, **wrong})

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_request"),
        (b'{"model": "m"}', 400, "missing_required_parameter"),
        (b"[]", 400, "invalid_value"),
        (b'{"model": "m", "input": "' + b"a" * 300_000 + b'"}', 413, "request_too_large"),
    ],
)
async def test_a_body_that_is_none_is_refused(body: bytes, status: int, code: str) -> None:
    desk = OneEngine(speaks=FakeSynthesizer())

    async with serving(desk) as (server, _), httpx2.AsyncClient() as http:
        answer = await http.post(f"{server.url}/v1/audio/speech", content=body)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


async def test_an_engine_that_fails_at_once_is_answered_with_its_status() -> None:
    desk = OneEngine(speaks=FakeSynthesizer(fails_on="Hello"))

    async with serving(desk) as (_, client):
        with pytest.raises(openai.InternalServerError) as caught:
            await client.audio.speech.create(model="m", voice="fake", input="Hello")

    assert (caught.value.status_code, caught.value.code) == (502, "engine_failed")


async def test_half_a_file_is_never_taken_for_a_whole_one() -> None:
    desk = OneEngine(speaks=FakeSynthesizer(fails_on="Hello", fails_after_words=3))

    async with serving(desk) as (_, client):
        with pytest.raises(openai.APIConnectionError):
            await client.audio.speech.create(
                model="m", voice="fake", input="Hello one two three", response_format="pcm"
            )


async def test_a_failure_amid_events_is_an_event() -> None:
    desk = OneEngine(speaks=FakeSynthesizer(fails_on="Hello", fails_after_words=3))

    async with serving(desk) as (_, client):
        answer = await client.audio.speech.create(
            model="m",
            voice="fake",
            input="Hello one two three",
            response_format="pcm",
            stream_format="sse",
        )

    last = answer.text.strip().splitlines()[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_failed"


async def test_the_engine_stops_when_its_listener_leaves() -> None:
    tap = Tap()

    async with serving(OneEngine(speaks=tap)) as (_, client):
        tap.give(3)
        asked = client.audio.speech.with_streaming_response.create(
            model="m", voice="any", input="a long story", response_format="pcm"
        )
        async with asked as answer:
            await anext(answer.iter_bytes())
        await in_time(tap.closed.wait())

    assert tap.made == 3


async def test_the_engine_stops_for_a_client_that_leaves_before_the_first_sound() -> None:
    tap = Tap()

    async with serving(OneEngine(speaks=tap)) as (_, client):
        asking = asyncio.create_task(
            client.audio.speech.create(model="m", voice="any", input="a long story")
        )
        await in_time(tap.opened.wait())
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await in_time(tap.closed.wait())

    assert tap.made == 0


def test_the_client_without_asyncio_is_served_too() -> None:
    async def speak() -> bytes:
        async with serving(OneEngine(speaks=FakeSynthesizer())) as (server, _):
            return await asyncio.to_thread(spoken_by, server.plain_sdk())

    def spoken_by(client: openai.OpenAI) -> bytes:
        with client:
            return client.audio.speech.create(
                model="m", voice="fake", input="one", response_format="pcm"
            ).content

    assert len(asyncio.run(speak())) == 200 * 48
