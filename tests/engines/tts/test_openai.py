"""OpenAI's voices and their relatives: each form of sound, and what is no sound."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.spec import SpeechOptions
from parley.engines.tts import speaches
from parley.engines.tts.openai import (
    OpenAISpeakingOptions,
    OpenAISpeech,
    owns_model,
    owns_voice,
)
from tests.engines.servers.scripted_speech import Said, ScriptedSpeechServer, as_json

ROUTE = "POST /v1/audio/speech"
SOUND = bytes(range(1, 201)) * 4


@asynccontextmanager
async def openai(server: ScriptedSpeechServer, **options: Any) -> AsyncIterator[OpenAISpeech]:
    engine = OpenAISpeech(OpenAISpeakingOptions.model_validate({"base_url": server.url, **options}))
    try:
        yield engine
    finally:
        await engine.close()


async def speak(engine: OpenAISpeech, text: str = "Good morning.", **options: Any) -> list[Audio]:
    async with aclosing(engine.synthesize(text, SpeechOptions(**options))) as sounds:
        return [sound async for sound in sounds]


def heard(sounds: list[Audio]) -> tuple[bytes, set[int]]:
    return b"".join(sound.pcm for sound in sounds), {sound.rate_hz for sound in sounds}


def wav(pcm: bytes, rate_hz: int, channels: int = 1) -> bytes:
    """As servers stream it: nobody knows the lengths yet."""
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * 2 * channels, 2 * channels, 16)
    return (
        b"RIFF\xff\xff\xff\xffWAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data\xff\xff\xff\xff"
        + pcm
    )


@given(cuts=st.lists(st.integers(1, len(SOUND)), max_size=8))
async def test_sound_is_whole_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(SOUND)]
    pieces = [SOUND[a:b] for a, b in pairwise(edges) if a < b]

    async with (
        ScriptedSpeechServer({ROUTE: Said(pieces, "audio/pcm")}) as server,
        openai(server) as engine,
    ):
        sounds = await speak(engine)

    assert heard(sounds) == (SOUND, {24_000})
    assert all(len(sound.pcm) % 2 == 0 for sound in sounds)


async def test_what_is_asked_is_openais() -> None:
    async with (
        ScriptedSpeechServer({ROUTE: Said([SOUND], "audio/pcm")}) as server,
        openai(server, model="gpt-4o-mini-tts", api_key="sk-1") as engine,
    ):
        await speak(engine, voice="nova", speed=9.0, instructions="Cheerful.")
        await speak(engine, voice="voice_123")

    first, second = (request.json() for request in server.requests)
    assert first == {
        "model": "gpt-4o-mini-tts",
        "input": "Good morning.",
        "voice": "nova",
        "response_format": "pcm",
        "speed": 4.0,
        "instructions": "Cheerful.",
    }
    assert second["voice"] == {"id": "voice_123"}
    assert server.requests[0].headers["authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("size", [1, 7, 44, 1000])
async def test_a_server_that_sends_wav_instead_is_heard_at_its_rate(size: int) -> None:
    file = wav(SOUND, 16_000)
    pieces = [file[at : at + size] for at in range(0, len(file), size)]

    async with (
        ScriptedSpeechServer({ROUTE: Said(pieces, "audio/wav")}) as server,
        openai(server) as engine,
    ):
        assert heard(await speak(engine)) == (SOUND, {16_000})


async def test_the_rate_is_read_from_the_content_type_or_the_options() -> None:
    with_rate = Said([SOUND], "audio/pcm;rate=8000")

    async with ScriptedSpeechServer({ROUTE: with_rate}) as server, openai(server) as engine:
        told = heard(await speak(engine))
    async with (
        ScriptedSpeechServer({ROUTE: Said([SOUND], "audio/pcm")}) as server,
        openai(server, rate_hz=22_050) as engine,
    ):
        set_by_hand = heard(await speak(engine))

    assert (told[1], set_by_hand[1]) == ({8000}, {22_050})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Said([b"ID3\x04" + SOUND], "audio/mpeg"), id="MP3"),
        pytest.param(Said([b"OggS" + SOUND], "audio/ogg"), id="Ogg"),
        pytest.param(as_json({"error": "no voice"}), id="an error that says 200"),
        pytest.param(Said([b"<html>"], "text/html"), id="a page"),
        pytest.param(Said([], "audio/pcm"), id="nothing"),
        pytest.param(Said([b"\x01"], "audio/pcm"), id="half a sample"),
        pytest.param(Said([b"RIFF\x00\x00"], "audio/wav"), id="half a header"),
    ],
)
async def test_what_is_no_sound_is_an_engine_that_failed(answer: Said) -> None:
    async with ScriptedSpeechServer({ROUTE: answer}) as server, openai(server) as engine:
        with pytest.raises(EngineFailed):
            await speak(engine)


async def test_a_limit_is_told_with_the_time_to_wait() -> None:
    busy = Said([b'{"error": {"message": "slow down"}}'], status=429, headers={"Retry-After": "9"})

    async with ScriptedSpeechServer({ROUTE: busy}) as server, openai(server) as engine:
        with pytest.raises(EngineUnavailable, match="slow down") as caught:
            await speak(engine)

    assert caught.value.retry_after_s == 9


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    elsewhere = Said(status=307, headers={"Location": "http://elsewhere.test/v1/audio/speech"})

    async with (
        ScriptedSpeechServer({ROUTE: elsewhere}) as server,
        openai(server, api_key="sk-1") as engine,
    ):
        with pytest.raises(EngineFailed, match=r"elsewhere\.test"):
            await speak(engine)


@pytest.mark.parametrize(
    "listing",
    [
        {"voices": ["tara", "leo"]},
        {"status": "ok", "voices": [{"id": "tara"}, {"name": "leo", "language": "en"}]},
    ],
)
async def test_voices_are_those_that_the_server_lists(listing: Any) -> None:
    answers = {ROUTE: as_json({}, 422), "GET /v1/audio/voices": as_json(listing)}

    async with ScriptedSpeechServer(answers) as server, openai(server) as engine:
        before = {voice.id for voice in engine.voices()}
        await engine.warm_up()
        after = {voice.id for voice in engine.voices()}

    assert "alloy" in before
    assert after == {"tara", "leo"}


async def test_a_server_that_only_chats_cannot_speak() -> None:
    async with ScriptedSpeechServer({}) as chats, openai(chats) as engine:
        mute = await engine.check()

    assert not mute.ok
    assert "audio/speech" in mute.detail


@pytest.mark.parametrize(
    ("voice", "owner"),
    [
        ("alloy", "openai"),
        ("voice_abc", "openai"),
        ("af_heart", "speaches"),
        ("zm_yunxi", "speaches"),
        ("en-us+f3", ""),
        ("aura-asteria-en", ""),
        ("tara", ""),
        ("en_US-amy-medium", ""),
    ],
)
def test_a_shared_voice_reaches_the_engine_that_it_fits(voice: str, owner: str) -> None:
    owners = {"openai": owns_voice(voice), "speaches": speaches.owns_voice(voice)}

    assert [name for name, owns in owners.items() if owns] == ([owner] if owner else [])


@pytest.mark.parametrize(
    ("model", "owner"),
    [
        ("tts-1-hd", "openai"),
        ("gpt-4o-mini-tts", "openai"),
        ("speaches-ai/Kokoro-82M-v1.0-ONNX", "speaches"),
        ("speaches-ai/piper-en_US-amy-low", "speaches"),
        ("canopylabs/orpheus-3b-0.1-ft", ""),
        ("aura-2-thalia-en", ""),
    ],
)
def test_a_shared_model_name_reaches_the_engine_that_it_fits(model: str, owner: str) -> None:
    owners = {"openai": owns_model(model), "speaches": speaches.owns_model(model)}

    assert [name for name, owns in owners.items() if owns] == ([owner] if owner else [])
