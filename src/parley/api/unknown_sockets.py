"""Who takes a path for a WebSocket's, or a WebSocket's for a page's, is told so."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.routing import Match, Router
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from parley.core.errors import NotFound, envelope, error_headers

PATHS = ("/v1/realtime", "/ws/rustpbx", "/ws/pcm", "/")
"""Where sockets may be; each listener has some of them."""
# The far side knows what it has asked for: of a long path the beginning will do.
_SHOWN_CHARACTERS = 200


def answer_unknown_sockets(web: FastAPI) -> None:
    """Without this they are refused with 403, as if a key were missing. Whoever tries a socket's
    path in a browser would read that there is nothing."""
    web.router.default = _UnknownPath(web.router)


class _UnknownPath:
    """What comes for no route. Raises ``NotFound`` where a page is asked for at a socket's path."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._otherwise = router.default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._has(scope, scope["path"]):
            raise NotFound(
                f"There is a WebSocket at {_shown(scope)}, and nothing else: connect with ws:// "
                "or wss://."
            )
        if scope["type"] == "websocket" and _can_answer(scope):
            paths = self._paths(scope)
            hint = f"There is one at {' and at '.join(paths)}." if paths else ""
            error = NotFound(f"There is no WebSocket at {_shown(scope)}.", hint=hint)
            answer = JSONResponse(envelope(error), error.status, headers=error_headers(error))
            await WebSocket(scope, receive, send).send_denial_response(answer)
            return
        await self._otherwise(scope, receive, send)

    def _paths(self, scope: Scope) -> list[str]:
        root = scope.get("root_path", "")
        return [path for path in PATHS if self._has(scope, root + path)]

    def _has(self, scope: Scope, path: str) -> bool:
        asked = {**scope, "type": "websocket", "path": path}
        return any(route.matches(asked)[0] is Match.FULL for route in self._router.routes)


def _can_answer(scope: Scope) -> bool:
    """Otherwise the server can only refuse the handshake, without a word."""
    return "websocket.http.response" in scope.get("extensions", {})


def _shown(scope: Scope) -> str:
    return str(scope["path"])[:_SHOWN_CHARACTERS]
