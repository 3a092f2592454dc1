"""``/v1/responses``: the newer way to ask a model, which can carry on from its last answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from parley.api.openai.answers import Removed, ResponseAnswer
from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.chat import metered_reply
from parley.api.openai.chat_metering import FreeOfCharge, TokenMeter
from parley.api.openai.chat_models import ChatModels
from parley.api.openai.chat_reply import Gathered, assistant_message
from parley.api.openai.chat_request import ChatRequest
from parley.api.openai.engines import Guard
from parley.api.openai.flowing import EVENT_STREAM, Awaited, Flow, sse
from parley.api.openai.responses_body import ResponseBody
from parley.api.openai.responses_reply import Event, ResponseReply
from parley.api.openai.responses_request import read_response, without_instructions
from parley.api.openai.responses_store import ResponseStore
from parley.core.answers import BODY_FAULTS, ENGINE_FAULTS, answers, events, one_of
from parley.core.errors import NotFound, ParleyError, ResponseNotFound
from parley.core.log import get_logger
from parley.engines.spec import Message

log = get_logger(__name__)

_EXAMPLE = {"model": "agent:receptionist", "input": "When are you open?"}
_ANSWERS = {"application/json": one_of(ResponseAnswer), **events()}


def responses_router(
    models: ChatModels,
    guard: Guard,
    *,
    store: ResponseStore | None = None,
    meter: TokenMeter | None = None,
    most_bytes: int,
    stall_s: float,
) -> APIRouter:
    """``POST /v1/responses``, and ``GET`` and ``DELETE /v1/responses/{id}``."""
    responses = _Responses(
        models, store or ResponseStore(), meter or FreeOfCharge(), most_bytes, stall_s
    )
    router = APIRouter(tags=["responses"], dependencies=[Depends(guard)])
    router.add_api_route(
        "/v1/responses",
        responses.create,
        methods=["POST"],
        summary="Let a model or an agent answer, and remember it",
        responses=answers(*BODY_FAULTS, 404, *ENGINE_FAULTS, ok=_ANSWERS),
        openapi_extra=described_body(ResponseBody, example=_EXAMPLE),
    )
    one = "/v1/responses/{response_id}"
    router.add_api_route(
        one,
        responses.get,
        methods=["GET"],
        summary="Show a response again",
        responses=answers(404, ok=ResponseAnswer),
    )
    router.add_api_route(
        one,
        responses.remove,
        methods=["DELETE"],
        summary="Forget a response",
        responses=answers(404, ok=Removed),
    )
    return router


class _Responses:
    def __init__(
        self,
        models: ChatModels,
        store: ResponseStore,
        meter: TokenMeter,
        most_bytes: int,
        stall_s: float,
    ) -> None:
        self._models = models
        self._store = store
        self._meter = meter
        self._most_bytes = most_bytes
        self._stall_s = stall_s

    async def create(self, request: Request) -> Response:
        body = await read_json(
            request, ResponseBody, most_bytes=self._most_bytes, stall_s=self._stall_s
        )
        tenant = tenant_of(request)
        asked = read_response(body, self._earlier(tenant, body), tenant)
        if not body.stream:
            return Awaited(partial(self._whole, request, body, asked))
        return Flow(self._told(request, body, asked), EVENT_STREAM, stall_s=self._stall_s)

    async def get(self, request: Request, response_id: str) -> dict[str, Any]:
        return dict(self._store.get(tenant_of(request), response_id).body)

    async def remove(self, request: Request, response_id: str) -> dict[str, Any]:
        self._store.remove(tenant_of(request), response_id)
        return {"id": response_id, "object": "response.deleted", "deleted": True}

    def _earlier(self, tenant: str, body: ResponseBody) -> tuple[Message, ...]:
        if not body.previous_response_id:
            return ()
        try:
            return self._store.get(tenant, body.previous_response_id).messages
        except NotFound as error:
            raise ResponseNotFound(
                error.message, hint=error.hint, param="previous_response_id"
            ) from error

    async def _whole(self, request: Request, body: ResponseBody, asked: ChatRequest) -> Response:
        last: Event = {}
        async with aclosing(self._events(request, body, asked, ResponseReply(body))) as events:
            async for event in events:
                last = event
        return JSONResponse(last["response"])

    async def _told(
        self, request: Request, body: ResponseBody, asked: ChatRequest
    ) -> AsyncGenerator[bytes]:
        """The events as bytes; a failure behind the first is told by the last."""
        reply = ResponseReply(body)
        has_begun = False
        async with aclosing(self._events(request, body, asked, reply)) as events:
            try:
                async for event in events:
                    yield named_sse(event)
                    has_begun = True
            except Exception as error:
                # The head is sent: whatever breaks now can only be told as an event.
                if not has_begun:
                    raise
                for event in reply.failed(_plain(error)):
                    yield named_sse(event)

    async def _events(
        self, request: Request, body: ResponseBody, asked: ChatRequest, response: ResponseReply
    ) -> AsyncGenerator[Event]:
        reply = Gathered()
        has_begun = False
        deltas = metered_reply(self._models, self._meter, request, asked, reply)
        async with aclosing(deltas):
            async for delta in deltas:
                if not has_begun:
                    has_begun = True
                    for event in response.beginning():
                        yield event
                for event in response.pieces(delta):
                    yield event
        for event in response.ending(reply, reply.spent(asked.messages)):
            if "response" in event and body.is_kept:
                conversation = without_instructions(asked, body)
                kept = [*conversation, assistant_message(reply)]
                self._store.keep(asked.options.tenant, event["response"], kept)
            yield event


def named_sse(event: Event) -> bytes:
    """Clients of this route look at the event's name as well."""
    return f"event: {event['type']}\n".encode() + sse(event)


def _plain(error: Exception) -> ParleyError:
    if isinstance(error, ParleyError):
        log.warning("stream_failed", code=error.code, error=str(error))
        return error
    log.error("stream_broke", exc_info=error)
    return ParleyError("Something broke in here; the log has the details.")
