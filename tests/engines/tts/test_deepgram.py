"""Deepgram's voices over HTTP: sound as it comes, cancelled by closing, failures told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley.core.errors import EngineFailed, EngineTimeout, EngineUnavailable
from parley.engines.spec import SpeechOptions, Voice
from parley.engines.tts.deepgram import SPEC, DeepgramSpeech, DeepgramTtsOptions
from tests.engines.servers.deepgram import KEY, DeepgramSpeakServer, SpeakFault
from tests.engines.tts.spoken import duration_ms, joined, speak


@asynccontextmanager
async def deepgram(*servers: DeepgramSpeakServer, **options: Any) -> AsyncIterator[DeepgramSpeech]:
    given = {"base_url": [server.url for server in servers], "api_key": KEY, **options}
    engine = DeepgramSpeech(DeepgramTtsOptions.model_validate(given))
    try:
        yield engine
    finally:
        await engine.close()


async def test_a_text_becomes_sound_in_whole_samples() -> None:
    async with DeepgramSpeakServer() as server, deepgram(server) as engine:
        sounds = await speak(engine, "Good morning.")

    assert len(joined(sounds)) == 13 * 10 * 24 * 2
    assert {audio.rate_hz for audio in sounds} == {24_000}
    assert server.requests[0].query == {
        "model": "aura-2-thalia-en",
        "encoding": "linear16",
        "container": "none",
        "sample_rate": "24000",
    }


async def test_the_first_sound_is_given_out_before_the_last_is_made() -> None:
    async with DeepgramSpeakServer(waits=True) as server, deepgram(server) as engine:
        sounds = engine.synthesize("Good morning.", SpeechOptions())
        first = await anext(sounds)
        server.go_on.set()
        rest = [audio async for audio in sounds]

    assert first.pcm
    assert rest


async def test_voice_and_speed_are_the_callers_within_deepgrams_bounds() -> None:
    async with DeepgramSpeakServer() as server, deepgram(server) as engine:
        await speak(engine, "Hi.", SpeechOptions(voice="aura-2-celeste-es", speed=3.0))

    assert server.requests[0].query["model"] == "aura-2-celeste-es"
    assert server.requests[0].query["speed"] == "1.50"


async def test_a_long_text_is_spoken_in_requests_that_deepgram_takes() -> None:
    text = "This is a sentence. " * 250

    async with DeepgramSpeakServer(ms_per_letter=1) as server, deepgram(server) as engine:
        sounds = await speak(engine, text)

    asked = [request.json()["text"] for request in server.requests]
    assert all(len(piece) <= 2000 and piece.endswith(".") for piece in asked)
    assert " ".join(asked) == text.strip()
    assert round(duration_ms(sounds)) == sum(len(piece) for piece in asked)


async def test_nothing_to_say_asks_nobody() -> None:
    async with DeepgramSpeakServer() as server, deepgram(server) as engine:
        assert await speak(engine, " \n") == []

    assert server.requests == []


async def test_leaving_ends_the_request_at_the_server() -> None:
    async with DeepgramSpeakServer(waits=True) as server, deepgram(server) as engine:
        sounds = engine.synthesize("Good morning.", SpeechOptions())
        await anext(sounds)
        await sounds.aclose()
        await server.client_left()

    assert server.gone == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("401", EngineUnavailable),
        ("429", EngineUnavailable),
        ("500", EngineUnavailable),
        ("hang", EngineTimeout),
        ("cut", EngineUnavailable),
    ],
)
async def test_a_fault_is_told_plainly(fault: SpeakFault, error: type[EngineFailed]) -> None:
    async with (
        DeepgramSpeakServer(fault=fault) as server,
        deepgram(server, answer_timeout_s=0.2) as engine,
    ):
        with pytest.raises(error) as caught:
            await speak(engine, "Good morning.")

    assert type(caught.value) is error
    assert KEY not in str(caught.value)


async def test_the_voices_are_listed_once_it_is_warm() -> None:
    async with DeepgramSpeakServer() as server, deepgram(server) as engine:
        before = engine.voices()
        await engine.warm_up()

    assert before == (Voice("aura-2-thalia-en", "Thalia", "en"),)
    assert engine.voices() == (
        Voice("aura-2-thalia-en", "Thalia", "en"),
        Voice("aura-2-celeste-es", "Celeste", "es-CO"),
    )


async def test_the_check_sees_a_wrong_key() -> None:
    async with DeepgramSpeakServer() as server:
        async with deepgram(server) as engine:
            assert (await engine.check()).ok
        async with deepgram(server, api_key="wrong") as engine:
            assert not (await engine.check()).ok


def test_a_model_of_auras_name_is_its_own() -> None:
    assert SPEC.owns_model("aura-asteria-en")
    assert not SPEC.owns_model("tts-1")
