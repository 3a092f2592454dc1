"""OpenAI's recognisers and their relatives: each style of answer, and what each server lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, EngineRefusedRequest, ModelMissing
from parley.engines.options import options_for
from parley.engines.spec import TranscribeOptions, TranscriptPart, Word
from parley.engines.stt import speaches
from parley.engines.stt.openai import SPEC, OpenAIHearingOptions, OpenAITranscriber, owns_model
from parley.engines.table import engine_row
from parley.engines.wish import EngineWish
from tests.engines.servers.scripted_speech import Said, ScriptedSpeechServer, as_events, as_json
from tests.engines.servers.speaches import tone

ROUTE = "POST /v1/audio/transcriptions"
GPT = "gpt-4o-mini-transcribe"


@asynccontextmanager
async def openai(server: ScriptedSpeechServer, **options: Any) -> AsyncIterator[OpenAITranscriber]:
    engine = OpenAITranscriber(
        OpenAIHearingOptions.model_validate({"base_url": server.url, **options})
    )
    try:
        yield engine
    finally:
        await engine.close()


async def speech() -> AsyncIterator[Audio]:
    yield Audio(bytes(6400) + tone(500, 16_000) + bytes(6400), 16_000)


async def hear(engine: OpenAITranscriber, **options: Any) -> list[tuple[str, bool]]:
    return [(part.text, part.final) for part in await parts_of(engine, **options)]


async def parts_of(engine: OpenAITranscriber, **options: Any) -> list[TranscriptPart]:
    async with aclosing(engine.transcribe(speech(), TranscribeOptions(**options))) as parts:
        return [part async for part in parts]


async def test_words_of_newer_models_are_streamed() -> None:
    done = {"type": "transcript.text.done", "text": "Two rooms, please."}
    deltas = [{"type": "transcript.text.delta", "delta": d} for d in ("Two", " rooms", ", please.")]

    async with (
        ScriptedSpeechServer({ROUTE: as_events(*deltas, done, "[DONE]")}) as server,
        openai(server, model=GPT, api_key="sk-1") as engine,
    ):
        heard = await hear(engine)

    assert heard == [
        ("Two", False),
        ("Two rooms", False),
        ("Two rooms, please.", False),
        ("Two rooms, please.", True),
    ]
    assert server.requests[0].headers["authorization"] == "Bearer sk-1"
    assert b'name="stream"\r\n\r\ntrue' in server.requests[0].body


async def test_an_error_within_the_stream_is_an_error() -> None:
    events = as_events(
        {"type": "transcript.text.delta", "delta": "Two"}, {"error": {"message": "x"}}
    )

    async with ScriptedSpeechServer({ROUTE: events}) as server, openai(server, model=GPT) as engine:
        with pytest.raises(EngineFailed, match="x"):
            await hear(engine)


async def test_a_server_that_ignores_streaming_is_understood() -> None:
    async with (
        ScriptedSpeechServer({ROUTE: as_json({"text": "Two rooms."})}) as server,
        openai(server, stream=True) as engine,
    ):
        assert await hear(engine) == [("Two rooms.", True)]


async def test_a_server_that_refuses_verbose_json_is_asked_for_plain_from_then_on() -> None:
    no = as_json({"error": {"message": "response_format verbose_json is not compatible"}}, 400)

    async with (
        ScriptedSpeechServer({ROUTE: [no, as_json({"text": "Two rooms."})]}) as server,
        openai(server) as engine,
    ):
        heard = [await hear(engine), await hear(engine)]

    assert heard == [[("Two rooms.", True)]] * 2
    assert len(server.requests) == 3


async def test_another_refusal_is_told_at_once() -> None:
    no = as_json({"error": {"message": "language xx is not supported"}}, 400)

    async with ScriptedSpeechServer({ROUTE: no}) as server, openai(server) as engine:
        with pytest.raises(EngineRefusedRequest, match="language xx"):
            await hear(engine)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(as_json({"text": " Two\n rooms.\n"}), id="whisper.cpp"),
        pytest.param(Said([b"Two rooms.\n"], "text/plain; charset=utf-8"), id="plain text"),
        pytest.param(as_json("Two rooms."), id="a bare string"),
        pytest.param(as_json({"segments": [{"text": "Two"}, {"text": "rooms."}]}), id="segments"),
        pytest.param(as_json({"text": "Two rooms.", "segments": None, "words": None}), id="nulls"),
    ],
)
async def test_relatives_answer_the_same_in_other_ways(answer: Said) -> None:
    async with ScriptedSpeechServer({ROUTE: answer}) as server, openai(server) as engine:
        heard = await hear(engine)

    assert " ".join(text for text, _ in heard) == "Two rooms."
    assert all(final for _, final in heard)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            {
                "text": "Two rooms.",
                "segments": [
                    {
                        "text": " Two rooms.",
                        "start": 0.1,
                        "end": 0.5,
                        "words": [
                            {"word": " Two", "start": 0.1, "end": 0.2},
                            {"word": " rooms.", "start": 0.2, "end": 0.5},
                        ],
                    }
                ],
            },
            id="whisper.cpp",
        ),
        pytest.param(
            {
                "text": "Two rooms.",
                "segments": [{"text": "Two rooms.", "start": 100_000_000, "end": 500_000_000}],
                "words": [
                    {"text": "Two", "start": 100_000_000, "end": 200_000_000},
                    {"text": "rooms.", "start": 200_000_000, "end": 500_000_000},
                ],
            },
            id="LocalAI",
        ),
        pytest.param(
            {
                "text": "Two rooms.",
                "words": [
                    {"word": "Two", "start": 0.1, "end": 0.2},
                    {"word": "rooms.", "start": 0.2, "end": 0.5},
                ],
            },
            id="no segments",
        ),
    ],
)
async def test_times_of_words_are_read_wherever_they_stand(answer: dict[str, Any]) -> None:
    async with ScriptedSpeechServer({ROUTE: as_json(answer)}) as server, openai(server) as engine:
        (part,) = await parts_of(engine, words=True)

    assert part.text == "Two rooms."
    assert part.words == (Word("Two", 100, 200), Word("rooms.", 200, 500))


@pytest.mark.parametrize(
    "answer",
    [
        as_json({"error": "failed to read WAV file"}),
        as_json([1, 2]),
        as_json({"text": 5}),
        Said([b"not json"]),
        Said([], "text/html"),
        as_events("not json"),
        as_events("[]"),
    ],
)
async def test_nonsense_is_an_engine_that_failed(answer: Said) -> None:
    async with ScriptedSpeechServer({ROUTE: answer}) as server, openai(server) as engine:
        with pytest.raises(EngineFailed):
            await hear(engine)


async def test_an_unknown_model_is_told_apart_from_a_wrong_address() -> None:
    unknown = as_json({"error": {"message": "x does not exist", "code": "model_not_found"}}, 404)

    async with ScriptedSpeechServer({ROUTE: unknown}) as server, openai(server) as engine:
        with pytest.raises(ModelMissing):
            await hear(engine)
    async with ScriptedSpeechServer({}) as server, openai(server) as engine:
        with pytest.raises(EngineFailed, match="address right") as caught:
            await hear(engine)

    assert not isinstance(caught.value, ModelMissing)


async def test_a_server_that_only_chats_cannot_hear() -> None:
    refuses = as_json({"error": {"message": "no file"}}, 400)

    async with ScriptedSpeechServer({}) as chats, openai(chats) as engine:
        deaf = await engine.check()
    async with ScriptedSpeechServer({ROUTE: refuses}) as hears, openai(hears) as engine:
        able = await engine.check()

    assert (deaf.ok, able.ok) == (False, True)
    assert "audio/transcriptions" in deaf.detail


async def test_openai_itself_is_not_asked_without_a_key() -> None:
    engine = OpenAITranscriber(OpenAIHearingOptions())

    status = await engine.check()
    await engine.close()

    assert (status.ok, status.hint) == (False, "Set OPENAI_API_KEY.")


@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
async def test_addresses_are_taken_with_and_without_their_end(path: str) -> None:
    async with ScriptedSpeechServer({ROUTE: as_json({"text": "Yes."})}) as server:
        engine = OpenAITranscriber(
            OpenAIHearingOptions.model_validate({"base_url": server.url + path})
        )
        async with aclosing(engine.transcribe(speech(), TranscribeOptions())) as parts:
            heard = [part.text async for part in parts]
        await engine.close()

    assert heard == ["Yes."]


@pytest.mark.parametrize(
    ("model", "owner"),
    [
        ("whisper-1", "openai"),
        ("gpt-4o-transcribe", "openai"),
        ("Systran/faster-distil-whisper-small.en", "speaches"),
        ("istupakov/parakeet-tdt-0.6b-v3-onnx", "speaches"),
        ("UsefulSensors/moonshine", ""),
        ("nova-3", ""),
        ("small.en", ""),
        ("vosk-model-small-en-us-0.15", ""),
    ],
)
def test_a_shared_model_name_reaches_the_engine_that_it_fits(model: str, owner: str) -> None:
    owners = {"openai": owns_model(model), "speaches": speaches.owns_model(model)}

    assert [name for name, owns in owners.items() if owns] == ([owner] if owner else [])


def test_with_an_address_of_ones_own_every_model_name_is_taken() -> None:
    mine = {"OPENAI_BASE_URL": "http://localhost:9000/v1", "STT_MODEL": "my-ears"}

    own = options_for(SPEC, EngineWish("openai"), mine)
    official = options_for(SPEC, EngineWish("openai"), {"STT_MODEL": "my-ears"})

    assert isinstance(own, OpenAIHearingOptions)
    assert isinstance(official, OpenAIHearingOptions)
    assert (own.model, official.model) == ("my-ears", "")
    assert SPEC.available(own)
    assert not SPEC.available(official)


def test_the_table_shows_the_model_in_use_and_each_host_without_its_password() -> None:
    two = OpenAIHearingOptions.model_validate(
        {"base_url": "http://ada:secret@one:9000/v1,http://two"}
    )

    rows = [engine_row(SPEC, options, "") for options in (two, OpenAIHearingOptions())]

    assert [(row.model, row.where) for row in rows] == [
        ("whisper-1", "one:9000, two"),
        ("gpt-4o-mini-transcribe", "api.openai.com"),
    ]
