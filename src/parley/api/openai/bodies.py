"""Reads JSON bodies of bounded size, whatever their client says of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from parley.api.body_room import make_room
from parley.api.errors import bad_field
from parley.core.answers import body_of
from parley.core.errors import BadRequest, InvalidValue, NoRoom, TooLarge, UploadStalled
from parley.core.json_marks import JsonMarks

BodyT = TypeVar("BodyT", bound=BaseModel)

DEFAULT_TENANT = "default"
LEAST_BYTES_PER_S = 1000
"""Slower than this, by more than the time that a client may stall, no body may come."""

LINGER_BYTES = 4 * 1024 * 1024
LINGER_S = 1.0


async def read_json(
    request: Request, shape: type[BodyT], *, most_bytes: int, stall_s: float
) -> BodyT:
    """The body as a model.

    Raises the error of its first fault, ``TooLarge``, ``UploadStalled`` or ``NoRoom``.
    """
    body = await read_body(request, most_bytes=most_bytes, stall_s=stall_s)
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise bad_field(error.errors(include_url=False)[0]) from error


async def read_body(request: Request, *, most_bytes: int, stall_s: float) -> bytes:
    """The body, not too much work to be read as JSON.

    Raises ``TooLarge``, ``UploadStalled`` or ``NoRoom``.
    """
    gathered, marks = bytearray(), JsonMarks()
    try:
        async for piece in pieces_of(request, most_bytes=most_bytes, stall_s=stall_s):
            marks.add(piece)
            gathered += piece
            make_room(request, len(gathered))
    except (TooLarge, NoRoom):
        await linger(request)
        raise
    return bytes(gathered)


async def pieces_of(request: Request, *, most_bytes: int, stall_s: float) -> AsyncGenerator[bytes]:
    """The body as it comes. Raises ``TooLarge``, ``UploadStalled``, ``BadRequest``."""
    declared = declared_bytes(request)
    if declared > most_bytes:
        raise _too_large(most_bytes)
    stream = request.stream()
    seen = 0
    begun_s = time.monotonic()
    while True:
        # Who sends a byte now and then is no better than who sends nothing.
        late_s = time.monotonic() - begun_s - seen / LEAST_BYTES_PER_S
        if (piece := await next_piece(stream, min(stall_s, stall_s - late_s))) is None:
            return
        seen += len(piece)
        if seen > most_bytes:
            raise _too_large(most_bytes)
        if piece:
            yield piece


async def next_piece(stream: AsyncGenerator[bytes], stall_s: float) -> bytes | None:
    """None behind the last."""
    try:
        async with asyncio.timeout(stall_s):
            return await anext(stream, None)
    except TimeoutError as error:
        raise UploadStalled("The body stopped coming, or came too slowly.") from error
    except ClientDisconnect as error:
        raise BadRequest("The body ended before it was complete.") from error


async def linger(request: Request) -> None:
    """Take a little more of a body that is refused, and throw it away: a client that is cut off
    while it sends sees a broken connection instead of the answer."""
    thrown_away = 0
    try:
        async with asyncio.timeout(LINGER_S):
            async for piece in request.stream():
                thrown_away += len(piece)
                if thrown_away > LINGER_BYTES:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        # RuntimeError is what Starlette says when all of it has been read.
        return


def declared_bytes(request: Request) -> int:
    """What Content-Length says; 0 where it says nothing."""
    declared = request.headers.get("content-length", "")
    if declared and not (declared.isascii() and declared.isdigit()):
        raise InvalidValue("Content-Length is no number.")
    return int(declared or 0)


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {most_bytes:,} bytes.", hint="Send it in smaller parts."
    )


def tenant_of(request: Request) -> str:
    """Whose request it is, as the access guard has left it in ``request.state.caller``."""
    caller: Any = getattr(request.state, "caller", None)
    return str(getattr(caller, "tenant", "") or DEFAULT_TENANT)


def described_body(
    shape: type[BaseModel], kind: str = "application/json", *, example: object = None
) -> dict[str, Any]:
    """The body's schema for the OpenAPI document, as FastAPI's ``openapi_extra``."""
    return body_of({kind: shape.model_json_schema()}, example=example)
