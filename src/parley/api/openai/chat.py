"""``POST /v1/chat/completions``: engines and agents answer in writing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from parley.api.openai.answers import ChatCompletion
from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.chat_audio import ChatAudio, Speaker
from parley.api.openai.chat_body import ChatBody
from parley.api.openai.chat_metering import FreeOfCharge, TokenMeter
from parley.api.openai.chat_models import Answerer, ChatModels
from parley.api.openai.chat_reply import Completion, Gathered, one_tool_at_a_time
from parley.api.openai.chat_request import ChatRequest, read_chat
from parley.api.openai.chat_stops import stopped_at
from parley.api.openai.engines import Guard
from parley.api.openai.flowing import EVENT_STREAM, Awaited, Flow, sse, with_errors_told
from parley.core.answers import BODY_FAULTS, ENGINE_FAULTS, answers, events, one_of
from parley.core.errors import UnsupportedValue
from parley.engines.spec import Delta

_EXAMPLE = {
    "model": "agent:receptionist",
    "messages": [{"role": "user", "content": "When are you open?"}],
}
_ANSWERS = {"application/json": one_of(ChatCompletion), **events()}
DONE = b"data: [DONE]\n\n"


def chat_router(
    models: ChatModels,
    guard: Guard,
    *,
    meter: TokenMeter | None = None,
    audio: ChatAudio | None = None,
    most_bytes: int,
    stall_s: float,
) -> APIRouter:
    """``POST /v1/chat/completions``.

    ``most_bytes`` bounds the body. Without ``audio`` chat is in writing only.
    """
    chat = _Chat(models, meter or FreeOfCharge(), audio, most_bytes, stall_s)
    router = APIRouter(tags=["chat"], dependencies=[Depends(guard)])
    router.add_api_route(
        "/v1/chat/completions",
        chat.create,
        methods=["POST"],
        summary="Let a model or an agent answer",
        responses=answers(*BODY_FAULTS, 404, 415, *ENGINE_FAULTS, ok=_ANSWERS),
        openapi_extra=described_body(ChatBody, example=_EXAMPLE),
    )
    return router


def replying(answerer: Answerer, asked: ChatRequest) -> AsyncGenerator[Delta]:
    """The reply as it was asked for: ended at stop words, with one tool or many."""
    deltas = answerer.reply(asked.messages, asked.tools, asked.options)
    if asked.options.stop:
        deltas = stopped_at(deltas, asked.options.stop)
    return one_tool_at_a_time(deltas) if asked.one_tool else deltas


async def metered_reply(
    models: ChatModels, meter: TokenMeter, request: Request, asked: ChatRequest, reply: Gathered
) -> AsyncGenerator[Delta]:
    """The reply's deltas, gathered in ``reply`` and metered. Closing it stops the model."""
    answerer = await models.find(asked.model, asked.options.tenant)
    async with (
        meter.metered(request, asked, reply),
        aclosing(replying(answerer, asked)) as deltas,
    ):
        async for delta in deltas:
            reply.take(delta)
            yield delta


@dataclass(frozen=True, slots=True)
class _Order:
    """One request, understood."""

    request: Request
    body: ChatBody
    asked: ChatRequest
    completion: Completion


class _Chat:
    def __init__(
        self,
        models: ChatModels,
        meter: TokenMeter,
        audio: ChatAudio | None,
        most_bytes: int,
        stall_s: float,
    ) -> None:
        self._models = models
        self._meter = meter
        self._audio = audio
        self._most_bytes = most_bytes
        self._stall_s = stall_s

    async def create(self, request: Request) -> Response:
        body = await read_json(
            request, ChatBody, most_bytes=self._most_bytes, stall_s=self._stall_s
        )
        if self._audio is None and (body.wants_audio or body.has_audio):
            raise UnsupportedValue("Chat is in writing here: no audio.", param="modalities")
        asked = read_chat(body, tenant_of(request))
        order = _Order(request, body, asked, Completion(body.model))
        if not body.stream:
            return Awaited(partial(self._whole, order))
        return Flow(with_errors_told(self._events(order)), EVENT_STREAM, stall_s=self._stall_s)

    async def _whole(self, order: _Order) -> Response:
        reply = Gathered()
        speaker = await self._speaker(order)
        async with aclosing(self._deltas(order, reply)) as deltas:
            async for _ in deltas:
                pass
        spoken = None
        if speaker and reply.text:
            spoken = await speaker.whole(reply.text)
            self._keep(speaker, order)
        usage = reply.spent(order.asked.messages)
        return JSONResponse(order.completion.whole(reply, usage, spoken))

    async def _events(self, order: _Order) -> AsyncGenerator[bytes]:
        reply, completion = Gathered(), order.completion
        speaker = await self._speaker(order)
        has_begun = False
        async with aclosing(self._deltas(order, reply)) as deltas:
            async for delta in deltas:
                if not has_begun:
                    yield sse(completion.beginning())
                    has_begun = True
                if speaker and delta.text:
                    async with aclosing(speaker.pieces(delta.text)) as told:
                        async for fields in told:
                            yield sse(completion.sound(fields))
                    delta = replace(delta, text="")
                for chunk in completion.pieces(delta):
                    yield sse(chunk)
        if speaker and speaker.transcript:
            async with aclosing(speaker.rest()) as told:
                async for fields in told:
                    yield sse(completion.sound(fields))
            self._keep(speaker, order)
        yield sse(completion.ending(reply.finish_reason))
        if order.body.wants_usage:
            yield sse(completion.spent(reply.spent(order.asked.messages)))
        yield DONE

    async def _deltas(self, order: _Order, reply: Gathered) -> AsyncGenerator[Delta]:
        if self._audio is not None:
            await self._audio.hear(order.asked.messages, order.asked.options.tenant)
        deltas = metered_reply(self._models, self._meter, order.request, order.asked, reply)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def _speaker(self, order: _Order) -> Speaker | None:
        if self._audio is None or not order.body.wants_audio:
            return None
        return await self._audio.voice(order.body, order.asked.options.tenant)

    def _keep(self, speaker: Speaker, order: _Order) -> None:
        if self._audio is not None:
            self._audio.keep(speaker, order.asked.options.tenant)
