"""Piper: its HTTP server in all its ages, and the WebSocket services around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from parley.core.errors import EngineFailed, EngineTimeout, EngineUnavailable, NotFound
from parley.engines.spec import SpeechOptions, Voice
from parley.engines.tts.piper import SPEC, PiperOptions, PiperSpeech
from tests.engines.servers import piper_http, piper_socket
from tests.engines.servers.piper_http import RATE_HZ, Age, PiperHttpServer
from tests.engines.servers.piper_socket import Dialect, PiperSocketServer
from tests.engines.tts.spoken import joined, speak

TEXT = "Good morning."
LENGTH = len(TEXT) * 10 * RATE_HZ // 1000 * 2


@asynccontextmanager
async def piper(*servers: Any, **options: Any) -> AsyncIterator[PiperSpeech]:
    given = {"ws_url": [server.url for server in servers], **options}
    engine = PiperSpeech(PiperOptions.model_validate(given))
    try:
        yield engine
    finally:
        await engine.close()


# ── its HTTP server ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("age", ["1.8", "1.3", "1.2"])
async def test_servers_of_every_age_speak_just_the_text(age: Age) -> None:
    async with PiperHttpServer(age) as server, piper(server) as engine:
        first = await speak(engine, TEXT)
        second = await speak(engine, TEXT)

    assert len(joined(first)) == pytest.approx(LENGTH, abs=4)
    assert joined(second) == joined(first)
    assert {audio.rate_hz for audio in first} == {RATE_HZ}
    assert server.texts == [TEXT, TEXT]


async def test_the_way_to_ask_an_old_server_is_found_once() -> None:
    async with PiperHttpServer("1.2") as server, piper(server) as engine:
        await speak(engine, TEXT)
        await speak(engine, TEXT)

    assert server.paths == ["POST /synthesize", "GET /voices", "POST /", "POST /"]


async def test_it_never_asks_for_downloads() -> None:
    async with PiperHttpServer() as server, piper(server) as engine:
        await engine.warm_up()
        await engine.check()
        await speak(engine, TEXT)

    assert set(server.paths) == {"GET /voices", "POST /synthesize"}


async def test_sound_is_given_out_while_it_arrives() -> None:
    async with PiperHttpServer(waits=True) as server, piper(server) as engine:
        sounds = engine.synthesize(TEXT, SpeechOptions())
        first = await anext(sounds)
        server.go_on.set()
        rest = [audio async for audio in sounds]

    assert first.pcm
    assert len(joined([first, *rest])) == pytest.approx(LENGTH, abs=4)


async def test_speed_voice_and_speaker_are_said_in_pipers_words() -> None:
    options = {"length_scale": 1.2, "noise_w_scale": 0.5, "speaker": "7"}

    async with PiperHttpServer() as server, piper(server, **options) as engine:
        await speak(engine, TEXT, SpeechOptions(voice="de_DE-thorsten-low", speed=2.0))

    assert server.requests[0].json() == {
        "text": TEXT,
        "voice": "de_DE-thorsten-low",
        "length_scale": 0.6,
        "noise_w_scale": 0.5,
        "speaker_id": 7,
    }


async def test_voices_are_listed_and_one_that_is_not_there_is_refused() -> None:
    async with PiperHttpServer() as server, piper(server) as engine:
        await engine.check()
        with pytest.raises(NotFound, match="Did you mean en_US-lessac-medium"):
            await speak(engine, TEXT, SpeechOptions(voice="en_US-lessac-high"))

    assert engine.voices() == (
        Voice("en_US-lessac-medium", "Lessac", "en-US"),
        Voice("de_DE-thorsten-low", "Thorsten", "de"),
    )


async def test_leaving_ends_the_request_at_the_server() -> None:
    async with PiperHttpServer(waits=True) as server, piper(server) as engine:
        sounds = engine.synthesize(TEXT, SpeechOptions())
        await anext(sounds)
        await sounds.aclose()
        await server.client_left()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", EngineUnavailable),
        ("hang", EngineTimeout),
        ("cut", EngineUnavailable),
        ("not_wav", EngineFailed),
        ("eight_bits", EngineFailed),
        ("empty", EngineFailed),
    ],
)
async def test_a_fault_of_the_http_server_is_told_plainly(
    fault: piper_http.Fault, error: type[EngineFailed]
) -> None:
    async with (
        PiperHttpServer(fault=fault) as server,
        piper(server, answer_timeout_s=0.2) as engine,
    ):
        with pytest.raises(error) as caught:
            await speak(engine, TEXT)

    assert type(caught.value) is error


async def test_stereo_becomes_mono() -> None:
    async with PiperHttpServer(fault="stereo") as server, piper(server) as engine:
        sounds = await speak(engine, TEXT)

    assert len(joined(sounds)) == pytest.approx(LENGTH, abs=4)


# ── WebSocket services ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("dialect", "connections"), [("once", 3), ("lasting", 1)])
async def test_both_dialects_are_spoken(dialect: Dialect, connections: int) -> None:
    async with PiperSocketServer(dialect) as server, piper(server) as engine:
        spoken = [joined(await speak(engine, TEXT)) for _ in range(3)]

    assert [len(pcm) for pcm in spoken] == [LENGTH] * 3
    assert server.connections == connections
    assert server.requests[0] == {"text": TEXT, "sample_rate": RATE_HZ, "format": "pcm16"}


async def test_a_wav_file_behind_a_websocket_is_understood() -> None:
    async with PiperSocketServer(sends_wav=True) as server, piper(server) as engine:
        sounds = await speak(engine, TEXT)

    assert len(joined(sounds)) == LENGTH


async def test_leaving_drops_the_socket_and_the_next_text_has_a_new_one() -> None:
    async with PiperSocketServer("lasting", waits=True) as server, piper(server) as engine:
        sounds = engine.synthesize(TEXT, SpeechOptions())
        await anext(sounds)
        await sounds.aclose()
        server.go_on.set()
        await server.has_left.wait()
        again = await speak(engine, TEXT)

    assert len(joined(again)) == LENGTH
    assert server.connections == 2


async def test_a_service_that_hangs_up_politely_has_said_all() -> None:
    async with PiperSocketServer(fault="no_end") as server, piper(server) as engine:
        assert joined(await speak(engine, TEXT))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("error", EngineFailed),
        ("error_key", EngineFailed),
        ("garbage", EngineFailed),
        ("close_1011", EngineFailed),
        ("silent_end", EngineFailed),
        ("hang", EngineTimeout),
        ("deaf", EngineTimeout),
        ("429", EngineUnavailable),
    ],
)
async def test_a_fault_of_a_service_is_told_plainly(
    fault: piper_socket.Fault, error: type[EngineFailed]
) -> None:
    limits = {"connect_timeout_s": 0.2, "answer_timeout_s": 0.2}

    async with PiperSocketServer(fault=fault) as server, piper(server, **limits) as engine:
        with pytest.raises(error) as caught:
            await speak(engine, TEXT)

    assert type(caught.value) is error
    assert "Piper" in str(caught.value)


ODD = 'He said "no";\n\t{\\} \u2028 50\u00a0\u20ac \U0001f600 \u4f60\u597d'


@pytest.mark.parametrize("age", ["1.8", "1.2"])
async def test_odd_letters_arrive_as_they_are(age: Age) -> None:
    async with PiperHttpServer(age) as server, piper(server) as engine:
        await speak(engine, ODD)
    async with PiperSocketServer() as service, piper(service) as engine:
        await speak(engine, ODD)

    assert server.texts == [ODD]
    assert service.requests[0]["text"] == ODD


# ── both ─────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_to_say_asks_nobody() -> None:
    async with PiperHttpServer() as server, piper(server) as engine:
        assert await speak(engine, " \n") == []

    assert server.requests == []


async def test_servers_of_both_kinds_share_the_work() -> None:
    async with (
        PiperHttpServer() as http,
        PiperSocketServer("lasting") as socket,
        piper(http, socket) as engine,
    ):
        for _ in range(4):
            await speak(engine, TEXT)

    assert len(http.texts) == len(socket.requests) == 2


async def test_nobody_there_is_said_with_the_address() -> None:
    async with PiperHttpServer() as http, PiperSocketServer() as socket:
        pass

    for gone in (http, socket):
        async with piper(gone) as engine:
            with pytest.raises(EngineUnavailable, match="can't be reached"):
                await speak(engine, TEXT)
            assert not (await engine.check()).ok
            await engine.warm_up()


def test_it_is_set_up_once_it_has_an_address_and_only_a_right_one() -> None:
    assert not SPEC.available(PiperOptions())
    assert SPEC.available(PiperOptions.model_validate({"ws_url": "http://a:5000,ws://b:8000/tts"}))
    with pytest.raises(ValidationError, match="http://"):
        PiperOptions.model_validate({"ws_url": "piper:5000"})
    with pytest.raises(EngineUnavailable, match="PIPER_WS_URL"):
        SPEC.open(PiperOptions())


@pytest.mark.parametrize(("name", "is_its"), [("en_US-lessac-medium", True), ("af_heart", False)])
def test_a_voice_of_pipers_is_known_by_its_name(name: str, is_its: bool) -> None:
    assert SPEC.owns_voice(name) is is_its
