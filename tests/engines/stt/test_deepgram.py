"""Deepgram's live recogniser: its messages, its ways to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley.core.errors import EngineFailed, EngineRefusedRequest, EngineTimeout, EngineUnavailable
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.deepgram import SPEC, DeepgramSttOptions, DeepgramTranscriber
from tests.engines.servers.deepgram import KEY, DeepgramListenServer, Fault
from tests.engines.stt.spoken import Mouth, finals, hear, partials, sound


@asynccontextmanager
async def deepgram(
    *servers: DeepgramListenServer, **options: Any
) -> AsyncIterator[DeepgramTranscriber]:
    given = {"base_url": [server.url for server in servers], "api_key": KEY, **options}
    engine = DeepgramTranscriber(DeepgramSttOptions.model_validate(given))
    try:
        yield engine
    finally:
        await engine.close()


async def test_words_come_while_they_are_spoken_and_the_text_at_the_end() -> None:
    mouth = Mouth()

    async with DeepgramListenServer("Good morning. Sir.") as server, deepgram(server) as engine:
        parts = engine.transcribe(mouth.audio(), TranscribeOptions())
        mouth.speak(200)
        first = await anext(parts)
        mouth.speak(400)
        mouth.stop()
        rest = [part async for part in parts]

    assert (first.text, first.final) == ("Good", False)
    assert finals(rest) == ["Good morning. Sir."]
    assert [(w.text, w.start_ms, w.end_ms) for w in rest[-1].words][1] == ("morning.", 200, 400)


async def test_the_connection_says_what_the_sound_is_and_what_is_wanted() -> None:
    options = {"model": "nova-2-phonecall", "keyterms": ["Parley", "PBX"]}

    async with DeepgramListenServer() as server, deepgram(server, **options) as engine:
        await hear(engine, sound(400), TranscribeOptions(language="de"))

    query = server.calls[0].query
    assert query["model"] == ["nova-2-phonecall"]
    assert (query["encoding"], query["sample_rate"]) == (["linear16"], ["16000"])
    assert (query["language"], query["interim_results"]) == (["de"], ["true"])
    assert (query["smart_format"], query["endpointing"]) == (["true"], ["300"])
    assert query["keyterm"] == ["Parley", "PBX"]


@pytest.mark.parametrize(("model", "said"), [("nova-3", ["multi"]), ("enhanced", None)])
async def test_no_language_means_any_where_the_model_can(
    model: str, said: list[str] | None
) -> None:
    async with DeepgramListenServer() as server, deepgram(server, model=model) as engine:
        await hear(engine, sound(200), TranscribeOptions(language=""))

    assert server.calls[0].query.get("language") == said


async def test_the_end_asks_for_the_rest_and_closes() -> None:
    async with DeepgramListenServer() as server, deepgram(server) as engine:
        await hear(engine, sound(400))
        await server.calls[0].is_over.wait()

    assert (
        server.calls[0].messages[:2] == ["Finalize", "CloseStream"][: len(server.calls[0].messages)]
    )
    assert server.calls[0].pcm_bytes == 400 * 32


async def test_an_end_without_anything_to_finalise_still_comes() -> None:
    async with (
        DeepgramListenServer(answers_finalize=False) as server,
        deepgram(server) as engine,
    ):
        assert finals(await hear(engine, sound(400))) == ["Good morning."]
        assert finals(await hear(engine, sound(100))) == [""]


async def test_texts_made_final_by_pauses_are_told_once_each() -> None:
    async with (
        DeepgramListenServer("one two three", final_after_ms=400) as server,
        deepgram(server) as engine,
    ):
        parts = await hear(engine, sound(600))

    assert finals(parts) == ["one two", "three"]
    assert partials(parts)[0] == "one"


async def test_a_speaker_who_pauses_keeps_the_connection_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("parley.engines.stt.deepgram.SIGN_OF_LIFE_S", 0.05)
    mouth = Mouth()

    async with DeepgramListenServer() as server, deepgram(server) as engine:
        parts = engine.transcribe(mouth.audio(), TranscribeOptions())
        mouth.speak(200)
        await anext(parts)
        waiting = asyncio.ensure_future(anext(parts))
        await server.calls[0].is_kept_alive.wait()
        mouth.speak(200)
        part = await waiting
        await parts.aclose()

    assert part.text == "Good morning."


async def test_leaving_drops_the_connection_at_once() -> None:
    mouth = Mouth()

    async with DeepgramListenServer() as server, deepgram(server) as engine:
        parts = engine.transcribe(mouth.audio(), TranscribeOptions())
        mouth.speak(400)
        await anext(parts)
        await parts.aclose()
        await server.calls[0].is_over.wait()

    assert server.calls[0].messages == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("close_1011", EngineFailed),
        ("data", EngineFailed),
        ("garbage", EngineFailed),
        ("error", EngineFailed),
        ("hang", EngineTimeout),
        ("mute_at_end", EngineTimeout),
        ("deaf", EngineTimeout),
        ("401", EngineUnavailable),
        ("402", EngineUnavailable),
        ("429", EngineUnavailable),
    ],
)
async def test_a_fault_is_told_plainly(fault: Fault, error: type[EngineFailed]) -> None:
    limits = {"connect_timeout_s": 0.2, "answer_timeout_s": 0.2}

    async with DeepgramListenServer(fault=fault) as server, deepgram(server, **limits) as engine:
        with pytest.raises(error) as caught:
            await hear(engine, sound(600))

    assert type(caught.value) is error
    assert "Deepgram" in str(caught.value)
    assert KEY not in str(caught.value)


async def test_a_wrong_key_is_said_with_deepgrams_reason_and_what_to_do() -> None:
    async with DeepgramListenServer() as server, deepgram(server, api_key="wrong") as engine:
        with pytest.raises(EngineUnavailable, match="Invalid credentials") as caught:
            await hear(engine, sound(200))
        status = await engine.check()

    assert "Check the key" in caught.value.hint
    assert not status.ok


async def test_nobody_there_is_said_with_the_address() -> None:
    async with DeepgramListenServer() as gone:
        pass

    async with deepgram(gone) as engine:
        with pytest.raises(EngineUnavailable, match="can't be reached"):
            await hear(engine, sound(400))
        assert not (await engine.check()).ok


async def test_the_check_asks_for_the_key_only() -> None:
    async with DeepgramListenServer() as server, deepgram(server) as engine:
        status = await engine.check()

    assert status.ok
    assert server.calls == []


async def test_a_wish_that_deepgram_refuses_is_not_its_failure() -> None:
    async with DeepgramListenServer(fault="400") as server, deepgram(server) as engine:
        with pytest.raises(EngineRefusedRequest, match="Not now"):
            await hear(engine, sound(200))


async def test_of_two_servers_the_healthy_one_serves() -> None:
    async with (
        DeepgramListenServer(fault="close_1011") as ill,
        DeepgramListenServer() as well,
        deepgram(ill, well) as engine,
    ):
        with pytest.raises(EngineFailed):
            await hear(engine, sound(400))
            await hear(engine, sound(400))
        texts = [finals(await hear(engine, sound(400))) for _ in range(3)]

    assert texts == [["Good morning."]] * 3


async def test_it_does_not_translate() -> None:
    async with DeepgramListenServer() as server, deepgram(server) as engine:
        with pytest.raises(EngineRefusedRequest):
            await hear(engine, sound(200), TranscribeOptions(translate=True))


def test_a_key_is_needed_unless_the_server_is_ones_own() -> None:
    assert not SPEC.available(DeepgramSttOptions())
    assert SPEC.available(DeepgramSttOptions.model_validate({"api_key": "k"}))
    assert SPEC.available(DeepgramSttOptions.model_validate({"base_url": "http://dg:8080"}))
    with pytest.raises(EngineUnavailable, match="DEEPGRAM_API_KEY"):
        SPEC.open(DeepgramSttOptions())


@pytest.mark.parametrize("name", ["nova", "nova-2-general", "nova-3", "enhanced", "base-phonecall"])
def test_its_own_models_are_known_by_their_names(name: str) -> None:
    assert SPEC.owns_model(name)


@pytest.mark.parametrize(
    "name", ["base", "whisper-1", "Systran/faster-whisper-small", "aura-asteria-en"]
)
def test_models_of_others_are_not_taken(name: str) -> None:
    assert not SPEC.owns_model(name)
