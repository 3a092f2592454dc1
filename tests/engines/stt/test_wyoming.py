"""Recognisers of the Wyoming kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from parley.core.errors import EngineFailed, EngineTimeout, EngineUnavailable
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.wyoming import SPEC, WyomingSttOptions, WyomingTranscriber
from tests.engines.servers.wyoming import Fault, WyomingAsrServer, WyomingTtsServer
from tests.engines.stt.spoken import Mouth, finals, hear, partials, sound


@asynccontextmanager
async def wyoming(*servers: Any, **options: Any) -> AsyncIterator[WyomingTranscriber]:
    given = {"uri": [server.url for server in servers], **options}
    engine = WyomingTranscriber(WyomingSttOptions.model_validate(given))
    try:
        yield engine
    finally:
        await engine.close()


async def test_an_utterance_becomes_one_text() -> None:
    async with WyomingAsrServer() as server, wyoming(server, model="tiny") as engine:
        parts = await hear(engine, sound(400), TranscribeOptions(language="en-GB"))

    assert finals(parts) == ["good morning"]
    assert server.pcm_bytes == 400 * 32
    assert server.requests[0].data == {"name": "tiny", "language": "en"}


async def test_sound_of_another_rate_is_resampled() -> None:
    async with WyomingAsrServer() as server, wyoming(server) as engine:
        await hear(engine, sound(400, rate_hz=8000))

    assert server.pcm_bytes == pytest.approx(400 * 32, abs=64)


async def test_a_text_that_is_streamed_is_told_as_it_grows() -> None:
    async with WyomingAsrServer(streams=True) as server, wyoming(server) as engine:
        parts = await hear(engine, sound(400))

    assert partials(parts) == ["good", "good morning"]
    assert finals(parts) == ["good morning"]


async def test_sound_is_sent_while_it_is_spoken_and_leaving_drops_the_connection() -> None:
    mouth = Mouth()

    async with WyomingAsrServer() as server, wyoming(server) as engine:
        parts = engine.transcribe(mouth.audio(), TranscribeOptions())
        mouth.speak(400)
        waiting = asyncio.ensure_future(anext(parts))
        async with asyncio.timeout(5):
            while server.pcm_bytes < 400 * 32:
                await asyncio.wait({waiting}, timeout=0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await parts.aclose()
        await server.has_left.wait()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("error", EngineFailed),
        ("garbage", EngineFailed),
        ("hang", EngineTimeout),
        ("hang_up", EngineUnavailable),
        ("cut", EngineUnavailable),
    ],
)
async def test_a_fault_is_told_plainly(fault: Fault, error: type[EngineFailed]) -> None:
    async with (
        WyomingAsrServer(fault=fault) as server,
        wyoming(server, answer_timeout_s=0.2) as engine,
    ):
        with pytest.raises(error) as caught:
            await hear(engine, sound(400))

    assert type(caught.value) is error


async def test_a_server_that_stops_listening_is_given_up() -> None:
    more_than_the_network_holds_ms = 300_000

    async with (
        WyomingAsrServer(fault="deaf") as server,
        wyoming(server, answer_timeout_s=0.2) as engine,
    ):
        with pytest.raises(EngineTimeout):
            await hear(engine, sound(more_than_the_network_holds_ms))


async def test_of_two_servers_the_healthy_one_serves() -> None:
    async with (
        WyomingAsrServer(fault="error") as ill,
        WyomingAsrServer() as well,
        wyoming(ill, well) as engine,
    ):
        with pytest.raises(EngineFailed):
            await hear(engine, sound(100))
            await hear(engine, sound(100))
        texts = [finals(await hear(engine, sound(100))) for _ in range(3)]

    assert texts == [["good morning"]] * 3


async def test_nobody_there_is_said_with_the_address() -> None:
    async with WyomingAsrServer() as gone:
        pass

    async with wyoming(gone) as engine:
        with pytest.raises(EngineUnavailable, match=gone.url):
            await hear(engine, sound(400))
        assert not (await engine.check()).ok


async def test_sound_that_breaks_off_is_the_speakers_failure() -> None:
    mouth = Mouth()

    async with WyomingAsrServer() as server, wyoming(server) as engine:
        mouth.speak(100)
        mouth.fail(RuntimeError("The microphone is gone."))
        with pytest.raises(RuntimeError, match="microphone"):
            await hear(engine, mouth.audio())


async def test_the_check_knows_a_recogniser_from_a_voice_and_which_models_it_has() -> None:
    async with WyomingAsrServer() as asr, WyomingTtsServer() as tts:
        async with wyoming(asr) as engine:
            assert (await engine.check()).ok
        async with wyoming(tts) as engine:
            assert "does not recognise" in (await engine.check()).detail
        async with wyoming(asr, model="huge") as engine:
            status = await engine.check()

    assert not status.ok
    assert "tiny" in status.hint


def test_it_is_set_up_once_it_has_an_address_with_a_port() -> None:
    assert not SPEC.available(WyomingSttOptions())
    assert SPEC.available(WyomingSttOptions.model_validate({"uri": "tcp://a:10300"}))
    with pytest.raises(ValidationError, match="needs a port"):
        WyomingSttOptions.model_validate({"uri": "tcp://a"})
    with pytest.raises(EngineUnavailable, match="PARLEY_WYOMING_STT_URI"):
        SPEC.open(WyomingSttOptions())
