"""Every answer carries the number of its request, errors and streams included."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley.core.log import bind_request

HEADER = "x-request-id"

# What a proxy in front of us may have given: anything else could forge log lines.
_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BEGINNINGS = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"}
)


class RequestIds:
    """ASGI middleware: numbers requests, or takes the number that a proxy gave.

    It touches headers only; bodies flow past it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _GIVEN.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        bind_request(request_id)
        await self._app(scope, receive, _Stamped(send, request_id))


class _Stamped:
    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id

    async def __call__(self, message: Message) -> None:
        if message["type"] in _BEGINNINGS:
            message.setdefault("headers", [])
            MutableHeaders(scope=message)[HEADER] = self._request_id
        await self._send(message)


def request_id_of(connection: HTTPConnection) -> str:
    """The number of this request; "" where the middleware isn't installed."""
    return str(getattr(connection.state, "request_id", ""))
