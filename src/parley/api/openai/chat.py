"""``POST /v1/chat/completions``: engines and agents answer in writing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.chat_body import ChatBody
from parley.api.openai.chat_metering import FreeOfCharge, TokenMeter
from parley.api.openai.chat_models import Answerer, ChatModels
from parley.api.openai.chat_reply import Completion, Gathered, one_tool_at_a_time
from parley.api.openai.chat_request import ChatRequest, read_chat
from parley.api.openai.chat_stops import stopped_at
from parley.api.openai.engines import Guard
from parley.api.openai.flowing import EVENT_STREAM, Awaited, Flow, sse, with_errors_told
from parley.core.errors import UnsupportedValue
from parley.engines.spec import Delta

DONE = b"data: [DONE]\n\n"


def chat_router(
    models: ChatModels,
    guard: Guard,
    *,
    meter: TokenMeter | None = None,
    most_bytes: int,
    stall_s: float,
) -> APIRouter:
    """``POST /v1/chat/completions``; ``most_bytes`` bounds the body."""
    chat = _Chat(models, meter or FreeOfCharge(), most_bytes, stall_s)
    router = APIRouter(tags=["chat"], dependencies=[Depends(guard)])
    router.add_api_route(
        "/v1/chat/completions",
        chat.create,
        methods=["POST"],
        summary="Let a model or an agent answer",
        openapi_extra=described_body(ChatBody),
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


class _Chat:
    def __init__(
        self, models: ChatModels, meter: TokenMeter, most_bytes: int, stall_s: float
    ) -> None:
        self._models = models
        self._meter = meter
        self._most_bytes = most_bytes
        self._stall_s = stall_s

    async def create(self, request: Request) -> Response:
        body = await read_json(
            request, ChatBody, most_bytes=self._most_bytes, stall_s=self._stall_s
        )
        if body.wants_audio:
            raise UnsupportedValue("modalities: replies are text here.", param="modalities")
        asked = read_chat(body, tenant_of(request))
        completion = Completion(body.model)
        if not body.stream:
            return Awaited(partial(self._whole, request, completion, asked))
        events = self._events(request, completion, asked, tells_usage=body.wants_usage)
        return Flow(with_errors_told(events), EVENT_STREAM, stall_s=self._stall_s)

    async def _whole(
        self, request: Request, completion: Completion, asked: ChatRequest
    ) -> Response:
        reply = Gathered()
        async with aclosing(self._deltas(request, asked, reply)) as deltas:
            async for _ in deltas:
                pass
        return JSONResponse(completion.whole(reply, reply.spent(asked.messages)))

    async def _events(
        self, request: Request, completion: Completion, asked: ChatRequest, *, tells_usage: bool
    ) -> AsyncGenerator[bytes]:
        reply = Gathered()
        has_begun = False
        async with aclosing(self._deltas(request, asked, reply)) as deltas:
            async for delta in deltas:
                if not has_begun:
                    yield sse(completion.beginning())
                    has_begun = True
                for chunk in completion.pieces(delta):
                    yield sse(chunk)
        yield sse(completion.ending(reply.finish_reason))
        if tells_usage:
            yield sse(completion.spent(reply.spent(asked.messages)))
        yield DONE

    def _deltas(
        self, request: Request, asked: ChatRequest, reply: Gathered
    ) -> AsyncGenerator[Delta]:
        return metered_reply(self._models, self._meter, request, asked, reply)
