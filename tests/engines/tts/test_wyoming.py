"""Voices of the Wyoming kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley.core.errors import EngineFailed, EngineTimeout, EngineUnavailable, NotFound
from parley.engines.spec import SpeechOptions, Voice
from parley.engines.tts.wyoming import SPEC, WyomingSpeech, WyomingTtsOptions
from tests.engines.servers.wyoming import RATE_HZ, Fault, WyomingAsrServer, WyomingTtsServer
from tests.engines.tts.spoken import joined, speak


@asynccontextmanager
async def wyoming(*servers: Any, **options: Any) -> AsyncIterator[WyomingSpeech]:
    given = {"uri": [server.url for server in servers], **options}
    engine = WyomingSpeech(WyomingTtsOptions.model_validate(given))
    try:
        yield engine
    finally:
        await engine.close()


async def test_a_text_becomes_sound_in_whole_samples() -> None:
    async with WyomingTtsServer() as server, wyoming(server) as engine:
        sounds = await speak(engine, "Good morning.")

    assert len(joined(sounds)) == 13 * RATE_HZ // 100 * 2
    assert {audio.rate_hz for audio in sounds} == {RATE_HZ}


async def test_the_first_sound_is_given_out_before_the_last_is_made_and_leaving_ends_it() -> None:
    async with WyomingTtsServer(waits=True) as server, wyoming(server) as engine:
        sounds = engine.synthesize("Good morning.", SpeechOptions())
        first = await anext(sounds)
        await sounds.aclose()
        server.go_on.set()
        await server.has_left.wait()

    assert first.pcm


async def test_stereo_becomes_mono() -> None:
    async with WyomingTtsServer(fault="stereo") as server, wyoming(server) as engine:
        sounds = await speak(engine, "Good morning.")

    assert len(joined(sounds)) == 13 * RATE_HZ // 100 * 2


async def test_voices_are_listed_with_their_speakers_and_asked_for_by_name() -> None:
    async with WyomingTtsServer() as server, wyoming(server) as engine:
        await engine.warm_up()
        await speak(engine, "Hallo.", SpeechOptions(voice="de_DE-both#bert"))
        await speak(engine, "Hallo.", SpeechOptions(language="de"))

    assert engine.voices() == (
        Voice("en_US-lessac", "Lessac", "en_US"),
        Voice("de_DE-both", "Both", "de_DE"),
        Voice("de_DE-both#anna", "Both, anna", "de_DE"),
        Voice("de_DE-both#bert", "Both, bert", "de_DE"),
    )
    assert server.requests[0].data["voice"] == {"name": "de_DE-both", "speaker": "bert"}
    assert server.requests[1].data["voice"] == {"language": "de"}


async def test_a_voice_that_is_not_there_is_refused_with_the_nearest() -> None:
    async with WyomingTtsServer() as server, wyoming(server) as engine:
        await engine.warm_up()
        with pytest.raises(NotFound, match="Did you mean en_US-lessac"):
            await speak(engine, "Hi.", SpeechOptions(voice="en_US-lesac"))


async def test_nothing_to_say_asks_nobody() -> None:
    async with WyomingTtsServer() as server, wyoming(server) as engine:
        assert await speak(engine, "  ") == []

    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("error", EngineFailed),
        ("garbage", EngineFailed),
        ("eight_bits", EngineFailed),
        ("hang", EngineTimeout),
        ("hang_up", EngineUnavailable),
    ],
)
async def test_a_fault_is_told_plainly(fault: Fault, error: type[EngineFailed]) -> None:
    async with (
        WyomingTtsServer(fault=fault) as server,
        wyoming(server, answer_timeout_s=0.2) as engine,
    ):
        with pytest.raises(error) as caught:
            await speak(engine, "Good morning.")

    assert type(caught.value) is error


async def test_nobody_there_is_said_with_the_address() -> None:
    async with WyomingTtsServer() as gone:
        pass

    async with wyoming(gone) as engine:
        with pytest.raises(EngineUnavailable, match=gone.url):
            await speak(engine, "Hi.")
        await engine.warm_up()
        assert engine.voices() == ()


async def test_the_check_knows_a_voice_from_a_recogniser_and_its_voices() -> None:
    async with WyomingTtsServer() as tts, WyomingAsrServer() as asr:
        async with wyoming(tts) as engine:
            assert (await engine.check()).ok
        async with wyoming(asr) as engine:
            assert "does not speak" in (await engine.check()).detail
        async with wyoming(tts, voice="nobody") as engine:
            assert not (await engine.check()).ok


def test_it_needs_an_address() -> None:
    assert not SPEC.available(WyomingTtsOptions())
    with pytest.raises(EngineUnavailable, match="PARLEY_WYOMING_TTS_URI"):
        SPEC.open(WyomingTtsOptions())
