"""A bound over all large bodies that are held at once: many clients must not fill the memory."""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from parley.core.errors import NoRoom

MOST_BYTES = 128 * 1024 * 1024
SMALL_BYTES = 1024 * 1024
"""So much each request may hold without asking."""

RETRY_AFTER_S = 1
_PLACE = "body_room"


class BodyRoom:
    """ASGI middleware: what a request has taken is free again when the request is over."""

    def __init__(self, app: ASGIApp, *, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        place = _Place(self)
        scope.setdefault("state", {})[_PLACE] = place
        try:
            await self._app(scope, receive, send)
        finally:
            self._held_bytes -= place.held_bytes

    def take(self, more_bytes: int) -> None:
        """Raises ``NoRoom``."""
        # One that is alone is always let in: its own limit is the settings' affair.
        if self._held_bytes and self._held_bytes + more_bytes > self._most_bytes:
            raise NoRoom("Too many large bodies are being worked on.", retry_after_s=RETRY_AFTER_S)
        self._held_bytes += more_bytes


class _Place:
    """What one request holds."""

    def __init__(self, room: BodyRoom) -> None:
        self._room = room
        self.held_bytes = 0

    def grow_to(self, length_bytes: int) -> None:
        if length_bytes > max(SMALL_BYTES, self.held_bytes):
            self._room.take(length_bytes - self.held_bytes)
            self.held_bytes = length_bytes


def make_room(request: Request, length_bytes: int) -> None:
    """The request holds so much of its body, until it is over. Raises ``NoRoom``."""
    place: _Place | None = getattr(request.state, _PLACE, None)
    if place is not None:
        place.grow_to(length_bytes)
