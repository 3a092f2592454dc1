"""Puts a caller's standing into the headers of every answer, streams and errors included."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley.access.rates import Standing, rate_headers

_STANDINGS = "parley_standings"


def note_standings(scope: MutableMapping[str, Any], standings: Sequence[Standing]) -> None:
    """Tell the middleware how the caller stands."""
    scope.setdefault("state", {})[_STANDINGS] = tuple(standings)


class RateHeaders:
    """ASGI middleware: a route's own response object can't be reached in any other way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        await self._app(scope, receive, _Answer(scope, send).send)


class _Answer:
    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in rate_headers(self._scope["state"].get(_STANDINGS, ())).items():
                headers[name] = value
        await self._send(message)
