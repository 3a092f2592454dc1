"""Chat with the ear: recordings are understood and replies spoken, for OpenAI's own client."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from typing import Any

import numpy as np
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.api.openai.written_house import house_with

ASK = [{"role": "user", "content": "Hello?"}]
ALOUD: dict[str, Any] = {"modalities": ["text", "audio"]}
PCM: dict[str, Any] = {"voice": "alloy", "format": "pcm16"}


def recording(rate_hz: int = 16_000) -> str:
    tone = (np.sin(np.arange(rate_hz) / 20) * 8000).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(tone.tobytes())
    return base64.b64encode(file.getvalue()).decode()


def said_aloud(data: str) -> dict[str, Any]:
    sound = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    return {"role": "user", "content": [{"type": "text", "text": "Listen:"}, sound]}


async def test_a_recording_reaches_the_model_as_words() -> None:
    async with house_with(stt=FakeTranscriber("what a day")) as house, house.client() as client:
        reply = await client.chat.completions.create(
            model="fake", messages=[said_aloud(recording())]
        )

    assert house.llm.asked[0] == [{"role": "user", "content": "Listen:\nwhat a day"}]
    assert reply.usage and reply.usage.prompt_tokens < 50


async def test_a_recording_that_is_none_is_refused() -> None:
    noise = base64.b64encode(b"no sound at all, just words").decode()
    async with house_with() as house, house.client() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="fake", messages=[said_aloud("%%%")])
        with pytest.raises(openai.APIStatusError) as unreadable:
            await client.chat.completions.create(model="fake", messages=[said_aloud(noise)])

    assert caught.value.param == "messages.0.content"
    assert unreadable.value.status_code in (400, 415)


async def test_a_reply_is_spoken_and_can_be_referred_to() -> None:
    async with house_with() as house, house.client() as client:
        reply = await client.chat.completions.create(
            model="fake", messages=ASK, audio={"voice": "alloy", "format": "wav"}, **ALOUD
        )
        audio = reply.choices[0].message.audio
        assert audio
        await client.chat.completions.create(
            model="fake", messages=[*ASK, {"role": "assistant", "audio": {"id": audio.id}}, *ASK]
        )

    ChatCompletion.model_validate(reply.to_dict())
    assert reply.choices[0].message.content is None
    with wave.open(io.BytesIO(base64.b64decode(audio.data))) as sound:
        assert sound.getnframes() == pytest.approx(0.04 * sound.getframerate(), rel=0.2)
    assert audio.transcript.strip() == "Yes, indeed."
    assert house.llm.asked[1][1] == {"role": "assistant", "content": audio.transcript}


async def test_a_stream_has_the_words_and_the_sound_of_each_sentence() -> None:
    words = "The first sentence is this one. The second one is here. "
    async with house_with(llm=FakeChatter(lambda _: words)) as house, house.client() as client:
        stream = await client.chat.completions.create(
            model="fake", messages=ASK, stream=True, audio=PCM, **ALOUD
        )
        chunks = [ChatCompletionChunk.model_validate(each.to_dict()) async for each in stream]

    told = [c.choices[0].delta.audio for c in chunks if c.choices[0].delta.audio]
    pcm = b"".join(base64.b64decode(each.data) for each in told if each.data)
    assert "".join(each.transcript or "" for each in told) == words
    assert len([each.id for each in told if each.id]) == 1
    assert told[-1].expires_at and chunks[-1].choices[0].finish_reason == "stop"
    assert len(house.tts.texts) == 2
    assert len(pcm) == pytest.approx(11 * 20 * 48, rel=0.1)


async def test_a_stream_is_spoken_in_pcm16_only() -> None:
    async with house_with() as house, house.client() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(
                model="fake",
                messages=ASK,
                stream=True,
                audio={"voice": "alloy", "format": "mp3"},
                **ALOUD,
            )

    assert caught.value.param == "audio.format"


async def test_another_tenant_s_spoken_reply_is_not_there() -> None:
    async with house_with() as house, house.client("acme") as one, house.client("bee") as other:
        reply = await one.chat.completions.create(model="fake", messages=ASK, audio=PCM, **ALOUD)
        audio = reply.choices[0].message.audio
        assert audio

        with pytest.raises(openai.BadRequestError) as caught:
            await other.chat.completions.create(
                model="fake", messages=[*ASK, {"role": "assistant", "audio": {"id": audio.id}}]
            )

    assert caught.value.param == "messages.1.audio"


async def test_the_voice_stops_when_the_client_goes() -> None:
    words = "The first sentence is this one. The second one is here."
    tts = FakeSynthesizer(word_ms=20, piece_ms=20, hangs_on="first")
    async with (
        house_with(llm=FakeChatter(lambda _: words), tts=tts) as house,
        house.client() as client,
    ):
        stream = await client.chat.completions.create(
            model="fake", messages=ASK, stream=True, audio=PCM, **ALOUD
        )
        async for each in stream:
            if "one." in ((each.choices[0].delta.audio or Silence()).transcript or ""):
                break
        await stream.close()

        async with asyncio.timeout(5):
            await voice_stopped(tts)

    assert house.llm.open_iterators == 0


class Silence:
    transcript = ""


async def voice_stopped(tts: FakeSynthesizer) -> None:
    """Begun, and ended by nobody but the server."""
    while not tts.texts or tts.open_iterators:  # noqa: ASYNC110  # the fake has no event for it
        await asyncio.sleep(0.01)
