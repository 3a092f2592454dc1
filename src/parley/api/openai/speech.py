"""``POST /v1/audio/speech``: a text comes in, sound flows out while it is made."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from parley.api.openai.audio_metering import AudioMeter, FreeSound, counted
from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.encoders import SpeechEncoder, SpeechFormat, media_type
from parley.api.openai.engines import Guard, SpeakingDesk, SpeakingEngine
from parley.api.openai.flowing import EVENT_STREAM, Flow, sse, with_errors_told
from parley.api.openai.voices import local_voice
from parley.core.answers import BODY_FAULTS, ENGINE_FAULTS, answers, events, sound
from parley.core.errors import InvalidValue, NotFound
from parley.core.spelling import Spelling
from parley.engines.fallback.timing import closing
from parley.engines.spec import SpeechOptions, performed_tags
from parley.engines.tts.speakable import speakable
from parley.store.records import Amounts

MOST_CHARACTERS = 4096
MOST_BODY_BYTES = 256 * 1024

# Nobody here counts in tokens; these keep a client's sums in proportion.
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_S = 20
_EXAMPLE = {"model": "tts-1", "voice": "alloy", "input": "Good morning!"}
_ANSWERS = {
    **sound(*(media_type(each) for each in get_args(SpeechFormat))),
    **events(),
}


def _voice_name(value: object) -> object:
    """OpenAI's clients name a voice, or give ``{"id": …}``."""
    if not isinstance(value, dict):
        return value
    return cast("dict[str, object]", value).get("id")


class SpeechBody(BaseModel):
    """What is to be said, and how."""

    input: Annotated[str, Field(max_length=MOST_CHARACTERS, description="The text.")]
    model: Annotated[str, Field(max_length=256, description="An engine or one of its models.")]
    voice: Annotated[
        str,
        BeforeValidator(_voice_name, json_schema_input_type=str | dict[str, str]),
        Field(max_length=256, description="OpenAI's name or a local one."),
    ] = ""
    instructions: Annotated[
        str | None,
        Field(max_length=MOST_CHARACTERS, description="How to say it, for engines that can act."),
    ] = None
    response_format: SpeechFormat = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    sample_rate: Annotated[
        int | None, Field(ge=8000, le=48_000, description="In Hz; 24000 if it is left out.")
    ] = None
    language: Annotated[
        str | None,
        Spelling(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", "a language's tag, such as de or en-GB"),
        Field(description="For engines with many."),
    ] = None


@dataclass(frozen=True)
class _Order:
    """One request, understood."""

    speaking: SpeakingEngine
    text: str
    options: SpeechOptions


@dataclass(frozen=True)
class _Bill:
    """What one reply costs its tenant: all of its characters as soon as it was heard at all."""

    text: str
    encoder: SpeechEncoder

    @property
    def whole(self) -> Amounts:
        return Amounts(characters=len(self.text))

    def used(self) -> Amounts:
        return self.whole if self.encoder.duration_ms else Amounts()


def speech_router(
    desk: SpeakingDesk, guard: Guard, *, stall_s: float, meter: AudioMeter | None = None
) -> APIRouter:
    """The route. ``stall_s``: how long a client may neither send nor take anything."""
    return _Speech(desk, stall_s, meter or FreeSound()).router(guard)


class _Speech:
    def __init__(self, desk: SpeakingDesk, stall_s: float, meter: AudioMeter) -> None:
        self._desk = desk
        self._stall_s = stall_s
        self._meter = meter

    def router(self, guard: Guard) -> APIRouter:
        router = APIRouter(tags=["audio"], dependencies=[Depends(guard)])
        router.add_api_route(
            "/v1/audio/speech",
            self.speak,
            methods=["POST"],
            response_class=Response,
            summary="Say a text",
            responses=answers(*BODY_FAULTS, 404, *ENGINE_FAULTS, ok=_ANSWERS),
            openapi_extra=described_body(SpeechBody, example=_EXAMPLE),
        )
        return router

    async def speak(self, request: Request) -> Response:
        """Say a text. The sound is sent as it is made."""
        body = await read_json(
            request, SpeechBody, most_bytes=MOST_BODY_BYTES, stall_s=self._stall_s
        )
        order = await self._order(body, tenant_of(request))
        encoder = SpeechEncoder(body.response_format, body.sample_rate or 0)
        bill = _Bill(order.text, encoder)
        count = self._meter.metered(request, bill.whole, bill.used)
        sound = counted(_sound(order, encoder), count)
        if body.stream_format == "sse":
            events = with_errors_told(_events(order, encoder, sound))
            return Flow(events, EVENT_STREAM, stall_s=self._stall_s)
        return Flow(sound, encoder.media_type, stall_s=self._stall_s)

    async def _order(self, body: SpeechBody, tenant: str) -> _Order:
        if not body.input.strip():
            raise InvalidValue("There is nothing to say.", param="input")
        speaking = await self._desk.speaking(body.model, tenant)
        text = await speakable(body.input, tags=performed_tags(speaking.engine))
        if not text:
            raise InvalidValue("Nothing of this can be said.", param="input")
        language = body.language or ""
        options = SpeechOptions(
            voice=local_voice(speaking, body.voice, language),
            speed=body.speed,
            language=language,
            instructions=body.instructions or "",
            tenant=tenant,
        )
        return _Order(speaking, text, options)


async def _sound(order: _Order, encoder: SpeechEncoder) -> AsyncGenerator[bytes]:
    """The file's bytes as they come."""
    synthesis = order.speaking.engine.synthesize(order.text, order.options)
    opening = asyncio.create_task(encoder.open())
    async with closing(synthesis) as sounds:
        try:
            async for sound in sounds:
                await opening
                if data := await encoder.add(sound):
                    yield data
        except NotFound as error:
            raise InvalidValue(error.message, hint=error.hint, param="voice") from error
        finally:
            await asyncio.gather(opening, return_exceptions=True)
    if data := await encoder.finish():
        yield data


async def _events(
    order: _Order, encoder: SpeechEncoder, sound: AsyncGenerator[bytes]
) -> AsyncGenerator[bytes]:
    async with aclosing(sound):
        async for data in sound:
            audio = base64.b64encode(data).decode()
            yield sse({"type": "speech.audio.delta", "audio": audio})
    yield sse({"type": "speech.audio.done", "usage": _usage(order.text, encoder.duration_ms)})


def _usage(text: str, duration_ms: float) -> dict[str, Any]:
    said = math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
    heard = math.ceil(duration_ms / 1000 * _TOKENS_PER_S)
    return {"input_tokens": said, "output_tokens": heard, "total_tokens": said + heard}
