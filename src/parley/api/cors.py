"""CORS: pages of the sites that the settings name may call from a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley.access.origins import Origins, foreign_page
from parley.access.rates import RATE_HEADERS
from parley.core.errors import envelope

METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS = (
    "authorization",
    "content-type",
    "x-api-key",
    "x-request-id",
    "idempotency-key",
    "last-event-id",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "x-openai-agents-sdk",
)
"""A ``*`` would not cover ``authorization``, so each has its name. With these go all that begin
with ``x-stainless-``: OpenAI's clients have more of them with each release."""

EXPOSED = (
    "location",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "x-should-retry",
    *RATE_HEADERS,
)
PREFLIGHT_S = 600

_STAINLESS = re.compile(r"x-stainless-[a-z-]{1,40}")
_ALLOWED = "cors_headers"
_ASKS = "access-control-request-method"
_ASKS_HEADERS = "access-control-request-headers"
_ASKS_PRIVATE = "access-control-request-private-network"


class Cors:
    """ASGI middleware. Preflights are answered here, before anybody asks for a key.

    Cookies are never allowed: whoever calls from another site shows a key. Where no site is
    named, nothing is said at all.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin", "")
        if scope["type"] != "http" or not self._origins.has_any:
            await self._app(scope, receive, send)
        elif origin and scope["method"] == "OPTIONS" and _ASKS in headers:
            await self._preflight(origin, headers)(scope, receive, send)
        else:
            told = self._told(origin)
            scope.setdefault("state", {})[_ALLOWED] = told
            await self._app(scope, receive, _Told(send, told))

    def _preflight(self, origin: str, headers: Headers) -> Response:
        if not self._origins.may_call(origin):
            refused = foreign_page(origin)
            return JSONResponse(envelope(refused), refused.status, headers={"vary": "origin"})
        told = {
            **self._told(origin),
            "access-control-allow-methods": ", ".join(METHODS),
            "access-control-allow-headers": ", ".join([*REQUEST_HEADERS, *_stainless(headers)]),
            "access-control-max-age": str(PREFLIGHT_S),
        }
        if _ASKS_PRIVATE in headers:
            told["access-control-allow-private-network"] = "true"
        return Response(status_code=204, headers=told)

    def _told(self, origin: str) -> dict[str, str]:
        if self._origins.has_every:
            return {"access-control-allow-origin": "*", **_EXPOSING}
        if origin and self._origins.may_call(origin):
            return {"access-control-allow-origin": origin, "vary": "origin", **_EXPOSING}
        return {"vary": "origin"}


def _stainless(headers: Headers) -> list[str]:
    asked = headers.get(_ASKS_HEADERS, "").lower().split(",")
    return [name for name in map(str.strip, asked) if _STAINLESS.fullmatch(name)]


_EXPOSING = {"access-control-expose-headers": ", ".join(EXPOSED)}


class _Told:
    def __init__(self, send: Send, told: Mapping[str, str]) -> None:
        self._send = send
        self._told = told

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name, value in self._told.items():
                if name == "vary":
                    headers.add_vary_header(value)
                else:
                    headers[name] = value
        await self._send(message)


def cors_headers_of(connection: HTTPConnection) -> Mapping[str, str]:
    """For the one answer that is sent from outside of every middleware."""
    told: Any = getattr(connection.state, _ALLOWED, None)
    return told or {}
