"""``POST /v1/audio/speech/timestamps``: when somebody speaks in a recording."""

from __future__ import annotations

import asyncio
import math

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from parley.api.openai.answers import SpeechSpan
from parley.api.openai.decoding import SoundFile
from parley.api.openai.engines import Guard
from parley.api.openai.flowing import Awaited
from parley.api.openai.transcription_form import described_form, number_of
from parley.api.openai.transcriptions import AudioLimits, Vad
from parley.api.openai.uploads import Form, receive_form
from parley.core.answers import BODY_FAULTS, answers, one_of
from parley.engines.vad.spans import Span, SpanOptions, SpeechSpans

_READ_MS = 5000
_DAY_MS = 86_400_000.0
_DEFAULT = {
    "threshold": 0.75,
    "min_speech_duration_ms": 0.0,
    "min_silence_duration_ms": 1000.0,
    "speech_pad_ms": 0.0,
}
_ANSWERS = {"application/json": {"type": "array", "items": one_of(SpeechSpan)}}
_FIELDS = {
    "file": {"type": "string", "format": "binary"},
    "model": {"type": "string"},
    "neg_threshold": {"type": "number"},
    "max_speech_duration_s": {"type": "number"},
    **{name: {"type": "number", "default": default} for name, default in _DEFAULT.items()},
}


def timestamps_router(vad: Vad, guard: Guard, limits: AudioLimits) -> APIRouter:
    """The route, with Speaches' fields and defaults."""
    return _Timestamps(vad, limits).router(guard)


class _Timestamps:
    def __init__(self, vad: Vad, limits: AudioLimits) -> None:
        self._vad = vad
        self._limits = limits

    def router(self, guard: Guard) -> APIRouter:
        router = APIRouter(tags=["audio"], dependencies=[Depends(guard)])
        router.add_api_route(
            "/v1/audio/speech/timestamps",
            self.find,
            methods=["POST"],
            response_class=Response,
            summary="Find when somebody speaks",
            responses=answers(*BODY_FAULTS, 415, ok=_ANSWERS),
            openapi_extra=described_form(_FIELDS, ("file",)),
        )
        return router

    async def find(self, request: Request) -> Response:
        """The stretches of a recording in which somebody speaks, in milliseconds."""
        form = await receive_form(request, self._limits.upload)
        finding = _Finding(form, self._vad, self._limits.longest_s)
        return Awaited(finding.answer, at_end=finding.close)


class _Finding:
    def __init__(self, form: Form, vad: Vad, longest_s: float) -> None:
        self._form = form
        self._vad = vad
        self._longest_s = longest_s
        self._sound: SoundFile | None = None

    async def answer(self) -> Response:
        options = _options(self._form)
        await asyncio.to_thread(self._open)
        spans = SpeechSpans(self._vad.ear(), options)
        found: list[Span] = []
        while (pcm := await asyncio.to_thread(self._read)) != b"":
            found += await asyncio.to_thread(spans.push, pcm)
        found += await asyncio.to_thread(spans.flush)
        return JSONResponse([{"start": span.start_ms, "end": span.end_ms} for span in found])

    async def close(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._form.close()

    def _open(self) -> None:
        upload = self._form.file
        self._sound = SoundFile(upload.file, upload.content_type, longest_s=self._longest_s)

    def _read(self) -> bytes:
        assert self._sound is not None
        return self._sound.read(_READ_MS)


def _options(form: Form) -> SpanOptions:
    lowest = form.text("neg_threshold")
    longest = form.text("max_speech_duration_s")
    return SpanOptions(
        threshold=_number(form, "threshold", 1.0),
        neg_threshold=number_of(form, "neg_threshold", 0.0, least=0, most=1) if lowest else None,
        min_speech_ms=_number(form, "min_speech_duration_ms", _DAY_MS),
        max_speech_s=number_of(form, "max_speech_duration_s", math.inf, least=0.1, most=math.inf)
        if longest
        else math.inf,
        min_silence_ms=_number(form, "min_silence_duration_ms", _DAY_MS),
        pad_ms=_number(form, "speech_pad_ms", 60_000.0),
    )


def _number(form: Form, name: str, most: float) -> float:
    return number_of(form, name, _DEFAULT[name], least=0.0, most=most)
