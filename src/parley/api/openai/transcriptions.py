"""``POST /v1/audio/transcriptions`` and ``/translations``: a recording comes in, text goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from parley.api.openai.answers import Transcription, VerboseTranscription
from parley.api.openai.audio_metering import AudioMeter, FreeSound, counted
from parley.api.openai.bodies import tenant_of
from parley.api.openai.cutting import Cutter, PauseCutter, UtteranceCutter
from parley.api.openai.decoding import SoundFile
from parley.api.openai.engines import Guard, HearingDesk, HearingEngine
from parley.api.openai.flowing import EVENT_STREAM, Awaited, Flow, sse, with_errors_told
from parley.api.openai.hearing import Listener, Segment, no_words
from parley.api.openai.subtitles import (
    Transcript,
    as_json,
    as_srt,
    as_text,
    as_verbose_json,
    as_vtt,
    gap_before,
    token_usage,
)
from parley.api.openai.transcription_form import (
    TRANSCRIPTION_FIELDS,
    TRANSLATION_FIELDS,
    Wanted,
    described_form,
    read_wanted,
)
from parley.api.openai.uploads import Form, UploadLimits, receive_form
from parley.core.answers import BODY_FAULTS, ENGINE_FAULTS, answers, events, one_of, text
from parley.core.errors import UnsupportedValue
from parley.engines.spec import TranscribeOptions
from parley.engines.vad.silero import VoiceEar
from parley.store.records import Amounts

UNTOLD_MS = 60_000
"""What is reserved for a recording that doesn't say how long it is."""

_ANSWERS = {"application/json": one_of(Transcription, VerboseTranscription)}
_PLAIN: dict[str, Callable[[Transcript], str]] = {
    "text": as_text,
    "srt": as_srt,
    "vtt": as_vtt,
}


class Vad(Protocol):
    """``engines.vad.silero.SileroVad`` is one."""

    def ear(self) -> VoiceEar: ...


@dataclass(frozen=True)
class AudioLimits:
    """What one recording may cost: bytes, seconds, and how long its client may do nothing."""

    upload: UploadLimits
    longest_s: float


def transcription_router(
    desk: HearingDesk,
    vad: Vad,
    guard: Guard,
    limits: AudioLimits,
    *,
    meter: AudioMeter | None = None,
) -> APIRouter:
    """Both routes."""
    return _Transcriptions(desk, vad, limits, meter or FreeSound()).router(guard)


class _Transcriptions:
    def __init__(self, desk: HearingDesk, vad: Vad, limits: AudioLimits, meter: AudioMeter) -> None:
        self._desk = desk
        self._vad = vad
        self._limits = limits
        self._meter = meter

    def router(self, guard: Guard) -> APIRouter:
        router = APIRouter(tags=["audio"], dependencies=[Depends(guard)])
        required = ("file", "model")
        faults = (*BODY_FAULTS, 404, 415, *ENGINE_FAULTS)
        router.add_api_route(
            "/v1/audio/transcriptions",
            self.transcribe,
            methods=["POST"],
            response_class=Response,
            summary="Write down what is said",
            responses=answers(*faults, ok={**_ANSWERS, **text("text/plain"), **events()}),
            openapi_extra=described_form(TRANSCRIPTION_FIELDS, required),
        )
        router.add_api_route(
            "/v1/audio/translations",
            self.translate,
            methods=["POST"],
            response_class=Response,
            summary="Write down in English what is said",
            responses=answers(*faults, ok={**_ANSWERS, **text("text/plain")}),
            openapi_extra=described_form(TRANSLATION_FIELDS, required),
        )
        return router

    async def transcribe(self, request: Request) -> Response:
        """Write down what is said in a recording."""
        return await self._answer(request, translates=False)

    async def translate(self, request: Request) -> Response:
        """Write down in English what is said in a recording."""
        return await self._answer(request, translates=True)

    async def _answer(self, request: Request, *, translates: bool) -> Response:
        form = await receive_form(request, self._limits.upload)
        async with AsyncExitStack() as stack:
            stack.callback(form.close)
            wanted = read_wanted(form, translates=translates)
            hearing = await self._desk.hearing(wanted.model, tenant_of(request))
            _require_abilities(wanted, hearing)
            sound = await asyncio.to_thread(self._opened, form)
            stack.callback(sound.close)
            # From here on it belongs to the answer, which is made after this has returned.
            held = stack.pop_all()
        wished = Amounts(ms=round(sound.declared_ms) or UNTOLD_MS)
        count = self._meter.metered(request, wished, partial(_heard, sound))
        cutter = self._cutter(wanted)
        order = _Order(sound, wanted, hearing, tenant_of(request), cutter, count)
        if wanted.streams:
            events = with_errors_told(_events(order))
            stall_s = self._limits.upload.stall_s
            return Flow(events, EVENT_STREAM, stall_s=stall_s, at_end=held.aclose)
        return Awaited(partial(_whole, order), at_end=held.aclose)

    def _cutter(self, wanted: Wanted) -> Cutter:
        return UtteranceCutter(self._vad.ear()) if wanted.is_timed else PauseCutter()

    def _opened(self, form: Form) -> SoundFile:
        upload = form.file
        return SoundFile(upload.file, upload.content_type, longest_s=self._limits.longest_s)


@dataclass(frozen=True)
class _Order:
    """One request, understood."""

    sound: SoundFile
    wanted: Wanted
    hearing: HearingEngine
    tenant: str
    cutter: Cutter
    count: AbstractAsyncContextManager[None]

    def segments(self) -> AsyncGenerator[Segment]:
        options = TranscribeOptions(
            language=self.wanted.language,
            prompt=self.wanted.prompt,
            words=self.wanted.words,
            translate=self.wanted.translates,
            tenant=self.tenant,
        )
        listener = Listener(self.sound, self.cutter, self.hearing, options)
        return counted(listener.segments(), self.count)


def _heard(sound: SoundFile) -> Amounts:
    return Amounts(ms=round(sound.duration_ms))


async def _whole(order: _Order) -> Response:
    async with aclosing(order.segments()) as segments:
        heard = [segment async for segment in segments]
    wanted = order.wanted
    transcript = Transcript(
        heard,
        duration_s=order.sound.duration_ms / 1000,
        language="en" if wanted.translates else wanted.language,
        task="translate" if wanted.translates else "transcribe",
    )
    if wanted.form in _PLAIN:
        return PlainTextResponse(_PLAIN[wanted.form](transcript))
    if wanted.form == "verbose_json":
        content = as_verbose_json(transcript, wanted.granularities)
    else:
        content = as_json(transcript)
    return Response(content, media_type="application/json")


async def _events(order: _Order) -> AsyncGenerator[bytes]:
    """A delta for each utterance: what was sent is never taken back."""
    text = ""
    async with aclosing(order.segments()) as segments:
        async for segment in segments:
            delta = gap_before(text, segment.text) + segment.text
            text += delta
            yield sse({"type": "transcript.text.delta", "delta": delta})
    usage = token_usage(order.sound.duration_ms / 1000, text)
    yield sse({"type": "transcript.text.done", "text": text, "usage": usage})


def _require_abilities(wanted: Wanted, hearing: HearingEngine) -> None:
    if wanted.words and "words" not in hearing.abilities:
        raise no_words(hearing)
    if wanted.translates and "translate" not in hearing.abilities:
        raise UnsupportedValue(
            f"{hearing.name} can't translate.",
            hint="Name a model of Whisper's kind.",
            param="model",
        )
