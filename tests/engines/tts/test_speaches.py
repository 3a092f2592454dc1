"""Speaches speaks: what it is asked, its sound as it comes, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from parley.core.audio import Audio
from parley.core.errors import (
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
    NotFound,
)
from parley.engines.keeper import ModelKeeper
from parley.engines.spec import SpeechOptions
from parley.engines.tts.speaches import (
    DEFAULT_MODEL,
    DEFAULT_VOICE,
    SpeachesSpeakingOptions,
    SpeachesSpeech,
)
from tests.engines.servers.speaches import KOKORO, MS_PER_LETTER, PIPER, Fault, SpeachesServer


@asynccontextmanager
async def speaches(*servers: SpeachesServer, **options: Any) -> AsyncIterator[SpeachesSpeech]:
    urls = tuple(server.url for server in servers)
    engine = SpeachesSpeech(SpeachesSpeakingOptions.model_validate({"base_url": urls, **options}))
    try:
        yield engine
    finally:
        await engine.close()


async def speak(engine: SpeachesSpeech, text: str = "Good morning.", **options: Any) -> list[Audio]:
    async with aclosing(engine.synthesize(text, SpeechOptions(**options))) as sounds:
        return [sound async for sound in sounds]


def lasts_ms(sounds: list[Audio]) -> float:
    return sum(sound.duration_ms for sound in sounds)


async def test_text_becomes_sound_at_the_models_rate_in_whole_samples(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        sounds = await speak(engine)

    assert {sound.rate_hz for sound in sounds} == {24_000}
    assert all(sound.pcm and len(sound.pcm) % 2 == 0 for sound in sounds)
    assert lasts_ms(sounds) == len("Good morning.") * MS_PER_LETTER
    assert server.spoken == [
        {
            "model": DEFAULT_MODEL,
            "input": "Good morning.",
            "voice": DEFAULT_VOICE,
            "response_format": "pcm",
            "sample_rate": 24_000,
        }
    ]


async def test_sound_comes_while_it_is_made(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        server.drip = asyncio.Event()
        async with aclosing(engine.synthesize("Good morning.", SpeechOptions())) as sounds:
            first = await anext(sounds)
            server.drip.set()
            rest = [sound async for sound in sounds]

    assert first.pcm
    assert lasts_ms([first, *rest]) == len("Good morning.") * MS_PER_LETTER


async def test_raw_sound_of_a_model_whose_rate_is_listed_wrongly_keeps_its_length(
    tmp_path: Path,
) -> None:
    async with (
        SpeachesServer(tmp_path, PIPER) as server,
        speaches(server, model=PIPER) as engine,
    ):
        await engine.warm_up()
        sounds = await speak(engine)

    assert {sound.rate_hz for sound in sounds} == {22_050}
    assert lasts_ms(sounds) == pytest.approx(len("Good morning.") * MS_PER_LETTER, abs=1)
    assert server.spoken[0]["voice"] == "amy"


async def test_speed_stays_within_what_the_model_can_do(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        for speed in (0.3, 1.5, 4.0):
            await speak(engine, speed=speed)

    assert [body["speed"] for body in server.spoken] == [0.5, 1.5, 2.0]


async def test_nothing_to_pronounce_is_not_asked_for(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        assert await speak(engine, " … 🙂 ") == []

    assert server.paths == []


async def test_a_long_text_is_asked_for_in_pieces_and_spoken_whole(tmp_path: Path) -> None:
    text = "This is a rather long sentence. " * 150

    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        await speak(engine, text)

    assert max(len(body["input"]) for body in server.spoken) <= 4096
    assert " ".join(body["input"] for body in server.spoken) == text.strip()


async def test_volume_is_made_here(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        full = b"".join(sound.pcm for sound in await speak(engine))
        mute = b"".join(sound.pcm for sound in await speak(engine, volume=0.0))

    assert mute == bytes(len(full))
    assert any(full)


async def test_voices_are_listed_and_a_wrong_one_is_told_before_it_is_asked_for(
    tmp_path: Path,
) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        await engine.check()
        voices = {voice.id: voice.language for voice in engine.voices()}
        with pytest.raises(NotFound, match="Did you mean af_heart"):
            await speak(engine, voice="af_haert")
        await speak(engine, voice="alloy")

    assert voices["bf_emma"] == "en-gb"
    assert [body["voice"] for body in server.spoken] == ["alloy"]


@pytest.mark.parametrize(
    ("language", "voice"),
    [
        ("", DEFAULT_VOICE),
        ("en", DEFAULT_VOICE),
        ("en-GB", "bf_emma"),
        ("fr", "ff_siwis"),
        ("fr_CA", "ff_siwis"),
        ("ja", "jf_alpha"),
        ("xx", DEFAULT_VOICE),
    ],
)
async def test_without_a_voice_one_of_the_language_speaks(
    tmp_path: Path, language: str, voice: str
) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        await engine.warm_up()
        await speak(engine, language=language)

    assert server.spoken[0]["voice"] == voice


async def test_a_voice_that_was_chosen_speaks_every_language(tmp_path: Path) -> None:
    async with (
        SpeachesServer(tmp_path, KOKORO) as server,
        speaches(server, voice="am_adam") as engine,
    ):
        await engine.warm_up()
        await speak(engine, language="fr")

    assert server.spoken[0]["voice"] == "am_adam"


async def test_a_named_model_that_is_missing_is_asked_for_and_the_text_is_spoken(
    tmp_path: Path,
) -> None:
    async with SpeachesServer(tmp_path) as server, speaches(server, model=KOKORO) as engine:
        both = await asyncio.gather(speak(engine), speak(engine))

    assert all(lasts_ms(sounds) > 0 for sounds in both)
    assert server.paths.count(f"POST /v1/models/{KOKORO}") == 1


async def test_a_model_that_nobody_named_is_not_fetched(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path) as server, speaches(server) as engine:
        with pytest.raises(ModelMissing, match="parley models pull speaches:"):
            await speak(engine)

    assert isinstance(engine, ModelKeeper)
    assert not server.has(KOKORO)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.BUSY, EngineUnavailable),
        (Fault.ERROR, EngineUnavailable),
        (Fault.NO_KEY, EngineUnavailable),
        (Fault.CUT, EngineUnavailable),
        (Fault.CUT_MIDWAY, EngineUnavailable),
        (Fault.GARBAGE, EngineFailed),
        (Fault.EMPTY, EngineFailed),
        (Fault.HANG, EngineTimeout),
    ],
)
async def test_each_failure_is_ours_and_the_next_text_is_spoken(
    tmp_path: Path, fault: Fault, error: type[Exception]
) -> None:
    async with (
        SpeachesServer(tmp_path, KOKORO) as server,
        speaches(server, timeout_s=0.3) as engine,
    ):
        server.faults.append(fault)
        with pytest.raises(error):
            await speak(engine)
        sounds = await speak(engine)

    assert lasts_ms(sounds) > 0


async def test_closing_the_iterator_ends_the_request_at_the_server(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        server.drip = asyncio.Event()
        async with aclosing(engine.synthesize("Good morning.", SpeechOptions())) as sounds:
            await anext(sounds)
        async with asyncio.timeout(5):
            await server.client_left()

    assert server.gone == 1


async def test_cancelling_the_task_ends_the_request_at_the_server(tmp_path: Path) -> None:
    async with SpeachesServer(tmp_path, KOKORO) as server, speaches(server) as engine:
        server.drip = asyncio.Event()
        speaking = asyncio.create_task(speak(engine))
        async with asyncio.timeout(5):
            await server.asked.wait()
            speaking.cancel()
            await server.client_left()

    assert speaking.cancelled() or speaking.done()
