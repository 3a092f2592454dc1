"""Transcriptions that are refused, fail, or are given up: each is told what, and work stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import openai
import pytest

from parley.core.audio import Audio
from parley.engines.spec import Status, TranscribeOptions, TranscriptPart
from parley.testing.engines import FakeTranscriber, broken
from tests.api.openai.served import LIMITS, AudioLimits, OneEngine, encoded, in_time, serving
from tests.caller_voice import CallerVoice


@pytest.fixture(scope="module")
def wav() -> bytes:
    return encoded(asyncio.run(CallerVoice()("A table for two.")), "wav", "pcm_s16le")


class Waiter:
    """Never gets any further; ``closed`` is set when somebody stops it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()

    async def warm_up(self) -> None: ...

    async def check(self) -> Status:
        return Status(True)

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        self.asked.set()
        try:
            await asyncio.Event().wait()
            yield TranscriptPart("", True)
        finally:
            self.closed.set()

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("asked", "status", "code", "param"),
    [
        ({"model": "nobody"}, 404, "model_not_found", "model"),
        ({"response_format": "xml"}, 400, "invalid_value", "response_format"),
        ({"response_format": "diarized_json"}, 400, "unsupported_value", "response_format"),
        ({"language": "klingon!"}, 400, "invalid_value", "language"),
        ({"temperature": 3}, 400, "invalid_value", "temperature"),
        ({"timestamp_granularities": ["word"]}, 400, "invalid_value", "response_format"),
        (
            {"timestamp_granularities": ["word"], "response_format": "verbose_json"},
            400,
            "unsupported_value",
            "timestamp_granularities",
        ),
        ({"file": b""}, 400, "bad_audio", "file"),
        ({"file": b"This is no sound at all. " * 50}, 415, "unsupported_media", "file"),
        ({"file": b"#EXTM3U\n/etc/passwd\n"}, 415, "unsupported_media", "file"),
        ({"file": b"RIFF\x00\x00\x00\x00WAVEjunkjunkjunk"}, 415, "unsupported_media", "file"),
        ({"file": b"OggS" + b"\xff" * 4000}, 415, "unsupported_media", "file"),
    ],
)
async def test_what_is_wrong_is_named(
    wav: bytes, asked: dict[str, Any], status: int, code: str, param: str
) -> None:
    async with serving(OneEngine(hears=FakeTranscriber("x"), name="echo")) as (_, client):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.transcriptions.create(**{"model": "m", "file": wav, **asked})

    error = caught.value
    assert (error.status_code, error.code, error.param) == (status, code, param)
    assert error.request_id
    if param == "timestamp_granularities":
        assert "echo can't tell" in str(error)


async def test_translation_by_an_engine_that_can_not_is_refused_by_its_name(wav: bytes) -> None:
    desk = OneEngine(hears=FakeTranscriber("x"), name="echo")

    async with serving(desk) as (server, _), httpx2.AsyncClient() as http:
        answer = await http.post(
            f"{server.url}/v1/audio/translations",
            data={"model": "m"},
            files={"file": ("a.wav", wav)},
        )

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("echo can't translate.")


@pytest.mark.parametrize("missing", ["file", "model"])
async def test_a_form_needs_file_and_model(wav: bytes, missing: str) -> None:
    parts = {
        "file": b'; filename="a.wav"\r\n\r\n' + wav,
        "model": b"\r\n\r\nm",
    }
    (name,) = parts.keys() - {missing}
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"'.encode()
    body = head + parts[name] + b"\r\n--x--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=x"}

    desk = OneEngine(hears=FakeTranscriber("x"))

    async with serving(desk) as (server, _), httpx2.AsyncClient() as http:
        url = f"{server.url}/v1/audio/transcriptions"
        error = (await http.post(url, content=body, headers=kind)).json()["error"]

    assert (error["code"], error["param"]) == ("missing_required_parameter", missing)


async def test_hours_of_silence_in_a_small_file_are_not_decoded() -> None:
    limits = AudioLimits(LIMITS.upload, longest_s=60.0)
    bombs = [
        encoded(bytes(32_000 * 90), "flac", "flac"),
        encoded(bytes(32_000 * 90), "ogg", "libopus", 48_000),
    ]

    async with serving(OneEngine(hears=FakeTranscriber("x")), limits) as (_, client):
        for bomb in bombs:
            with pytest.raises(openai.BadRequestError) as caught:
                await client.audio.transcriptions.create(model="m", file=bomb)
            assert caught.value.code == "audio_too_long"

    assert max(len(bomb) for bomb in bombs) < 100_000


async def test_a_failing_engine_is_answered_with_its_status(wav: bytes) -> None:
    async with serving(OneEngine(hears=FakeTranscriber(broken("stt")))) as (_, client):
        with pytest.raises(openai.InternalServerError) as caught:
            await client.audio.transcriptions.create(model="m", file=wav)

    assert (caught.value.status_code, caught.value.code) == (502, "engine_failed")


@pytest.mark.parametrize("streams", [False, True])
async def test_the_engine_stops_when_its_client_leaves(wav: bytes, streams: bool) -> None:
    engine = Waiter()

    async with serving(OneEngine(hears=engine)) as (_, client):
        asking = asyncio.create_task(
            client.audio.transcriptions.create(model="m", file=wav, stream=streams)  # type: ignore[call-overload]
        )
        await in_time(engine.asked.wait())
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await in_time(engine.closed.wait())


async def test_parts_of_a_slow_engine_that_hangs_hold_nobody_up(wav: bytes) -> None:
    hanging = FakeTranscriber("never", "at once")

    async with serving(OneEngine(hears=hanging)) as (_, client):
        answers = await asyncio.gather(
            *(client.audio.transcriptions.create(model="m", file=wav) for _ in range(2))
        )

    assert sorted(answer.text for answer in answers) == ["at once", "never"]
