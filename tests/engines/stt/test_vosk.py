"""Vosk's WebSocket server: the protocol, its dialects, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from parley.core.errors import EngineFailed, EngineTimeout, EngineUnavailable
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.vosk import SPEC, VoskOptions, VoskTranscriber
from tests.engines.servers.vosk import Fault, VoskServer
from tests.engines.stt.spoken import Mouth, finals, hear, partials, sound

RESET, EOF = '{"reset" : 1}', '{"eof" : 1}'


@asynccontextmanager
async def vosk(*servers: VoskServer, **options: Any) -> AsyncIterator[VoskTranscriber]:
    urls = tuple(server.url for server in servers)
    engine = VoskTranscriber(VoskOptions.model_validate({"ws_url": urls, **options}))
    try:
        yield engine
    finally:
        await engine.close()


async def test_words_come_while_they_are_spoken_and_the_text_at_the_end() -> None:
    mouth = Mouth()

    async with VoskServer("good morning dear") as server, vosk(server) as engine:
        parts = aiter(engine.transcribe(mouth.audio(), TranscribeOptions()))
        mouth.speak(400)
        first = [await anext(parts), await anext(parts)]
        mouth.speak(200)
        mouth.stop()
        rest = [part async for part in parts]

    assert partials(first) == ["good", "good morning"]
    assert finals(rest) == ["good morning dear"]


async def test_words_have_times_within_their_utterance_on_a_kept_connection_too() -> None:
    async with VoskServer("yes please") as server, vosk(server) as engine:
        await hear(engine, sound(600))
        parts = await hear(engine, sound(600))

    assert [(w.text, w.start_ms, w.end_ms) for w in parts[-1].words] == [
        ("yes", 0, 200),
        ("please", 200, 400),
    ]
    assert (parts[-1].start_ms, parts[-1].end_ms) == (0, 400)


async def test_a_pause_within_an_utterance_gives_a_final_of_its_own_with_right_times() -> None:
    async with (
        VoskServer("one two three", final_after_ms=400) as server,
        vosk(server) as engine,
    ):
        parts = await hear(engine, sound(600))

    assert finals(parts) == ["one two", "three"]
    assert [w.start_ms for part in parts if part.final for w in part.words] == [0, 200, 400]


async def test_the_rate_and_options_are_told_before_the_first_sound() -> None:
    options = {"sample_rate_hz": 8000, "phrases": ["yes", "no"], "max_alternatives": 3}

    async with VoskServer(alternatives=True) as server, vosk(server, **options) as engine:
        parts = await hear(engine, sound(400))

    assert server.conversations[0].configs == [
        {"sample_rate": 8000, "words": 1, "max_alternatives": 3, "phrase_list": ["yes", "no"]}
    ]
    assert server.conversations[0].pcm_bytes == pytest.approx(6400, abs=100)
    assert finals(parts) == ["good morning"]


async def test_a_connection_serves_many_utterances() -> None:
    async with VoskServer() as server, vosk(server) as engine:
        for _ in range(3):
            assert finals(await hear(engine, sound(400))) == ["good morning"]

    assert [talk.ends for talk in server.conversations] == [[RESET, RESET, RESET]]


async def test_connections_are_not_kept_where_that_is_not_wanted() -> None:
    async with VoskServer() as server, vosk(server, keep_connections=False) as engine:
        for _ in range(2):
            assert finals(await hear(engine, sound(400))) == ["good morning"]

    assert [talk.ends for talk in server.conversations] == [[EOF], [EOF]]


async def test_an_old_server_that_dies_of_the_reset_loses_no_words() -> None:
    async with (
        VoskServer("one two three", dialect="no_reset", final_after_ms=400) as server,
        vosk(server) as engine,
    ):
        first = await hear(engine, sound(600))
        server.words = ["four"]
        second = await hear(engine, sound(400))

    assert finals(first)[0] == "one two"
    assert first[-1].words[0].start_ms == 400
    assert finals(second) == ["four"]
    assert [talk.ends for talk in server.conversations] == [[], [EOF], [EOF]]


async def test_the_cpp_server_gets_no_config_and_ends_with_eof() -> None:
    async with (
        VoskServer(dialect="cpp") as server,
        vosk(server, send_config=False) as engine,
    ):
        first = await hear(engine, sound(400))
        second = await hear(engine, sound(400))

    assert finals(first) == finals(second) == ["good morning"]
    assert [talk.configs for talk in server.conversations] == [[], []]
    assert [talk.ends for talk in server.conversations] == [[EOF], [EOF]]


async def test_an_idle_connection_that_was_cut_is_replaced() -> None:
    async with VoskServer() as server, vosk(server) as engine:
        await hear(engine, sound(400))
        async with VoskServer() as other:
            pass
        await server.__aexit__()
        await server.__aenter__()
        parts = await hear(engine, sound(400))

    assert other.conversations == []
    assert finals(parts) == ["good morning"]


async def test_an_utterance_without_sound_asks_nobody() -> None:
    async with VoskServer() as server, vosk(server) as engine:
        parts = await hear(engine, sound(0))

    assert finals(parts) == [""]
    assert server.conversations == []


async def test_a_server_that_lags_gets_few_long_messages_and_the_rest_waits_with_us() -> None:
    mouth = Mouth()

    async with VoskServer(fault="drip") as server, vosk(server) as engine:
        mouth.speak(4000)
        mouth.stop()
        hearing = asyncio.create_task(hear(engine, mouth.audio()))
        await server.is_stuck.wait()
        waiting = mouth.waiting
        server.let_drip.set()
        await hearing

    assert waiting > 150
    assert server.conversations[0].pcm_bytes == 4000 * 32
    assert server.conversations[0].messages < 100


async def test_leaving_drops_the_connection_at_once() -> None:
    mouth = Mouth()

    async with VoskServer() as server, vosk(server) as engine:
        parts = engine.transcribe(mouth.audio(), TranscribeOptions())
        mouth.speak(400)
        await anext(parts)
        await parts.aclose()
        await server.conversations[0].is_over.wait()

        assert server.conversations[0].ends == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("close_1011", EngineFailed),
        ("garbage", EngineFailed),
        ("no_object", EngineFailed),
        ("hang", EngineTimeout),
        ("deaf", EngineTimeout),
        ("mute_at_end", EngineTimeout),
        ("401", EngineUnavailable),
        ("429", EngineUnavailable),
    ],
)
async def test_a_fault_is_told_plainly(fault: Fault, error: type[EngineFailed]) -> None:
    limits = {"connect_timeout_s": 0.2, "answer_timeout_s": 0.2}

    async with VoskServer(fault=fault) as server, vosk(server, **limits) as engine:
        with pytest.raises(error) as caught:
            await hear(engine, sound(600))

    assert type(caught.value) is error
    assert "Vosk" in str(caught.value)


async def test_too_many_requests_says_when_to_come_back() -> None:
    async with VoskServer(fault="429") as server, vosk(server) as engine:
        with pytest.raises(EngineUnavailable) as caught:
            await hear(engine, sound(400))

    assert caught.value.retry_after_s == 7


async def test_nobody_there_is_said_with_the_address() -> None:
    async with VoskServer() as gone:
        pass

    async with vosk(gone) as engine:
        with pytest.raises(EngineUnavailable, match=f"{gone.url} can't be reached"):
            await hear(engine, sound(400))
        status = await engine.check()

    assert not status.ok
    assert gone.url in status.hint


async def test_sound_that_breaks_off_is_the_speakers_failure_not_the_servers() -> None:
    mouth = Mouth()

    async with VoskServer() as server, vosk(server) as engine:
        mouth.speak(200)
        mouth.fail(RuntimeError("The microphone is gone."))
        with pytest.raises(RuntimeError, match="microphone"):
            await hear(engine, mouth.audio())
        await server.conversations[0].is_over.wait()


async def test_the_healthy_one_of_two_servers_serves() -> None:
    async with (
        VoskServer(fault="close_1011") as ill,
        VoskServer() as well,
        vosk(ill, well) as engine,
    ):
        with pytest.raises(EngineFailed):
            await hear(engine, sound(400))
            await hear(engine, sound(400))
        texts = [finals(await hear(engine, sound(400))) for _ in range(3)]

    assert texts == [["good morning"]] * 3


async def test_calls_beyond_the_limit_are_refused_with_a_time_to_come_back() -> None:
    mouth = Mouth()

    async with VoskServer() as server, vosk(server, max_concurrent=1) as engine:
        parts = engine.transcribe(mouth.audio(), TranscribeOptions())
        mouth.speak(400)
        await anext(parts)
        with pytest.raises(EngineUnavailable) as caught:
            await hear(engine, sound(400))
        await parts.aclose()

    assert caught.value.retry_after_s == 1


async def test_the_check_recognises_and_does_not_only_connect() -> None:
    async with VoskServer() as well, vosk(well) as engine:
        assert (await engine.check()).ok
    async with VoskServer(fault="mute_at_end") as ill, vosk(ill, answer_timeout_s=0.2) as engine:
        assert not (await engine.check()).ok


def test_it_is_set_up_once_it_has_an_address_and_only_a_right_one() -> None:
    assert not SPEC.available(VoskOptions())
    assert SPEC.available(VoskOptions.model_validate({"ws_url": "ws://a:1, ws://b:2"}))
    with pytest.raises(ValidationError, match="ws://"):
        VoskOptions.model_validate({"ws_url": "http://a:1"})
    with pytest.raises(EngineUnavailable, match="VOSK_WS_URL"):
        SPEC.open(VoskOptions())
