"""What the routes of rooms take and give, and how their bodies are read."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any, Literal, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect

from parley.core.errors import BadRequest, TooLarge, UploadStalled
from parley.transports.rustpbx.rooms import Room

BodyT = TypeVar("BodyT", bound=BaseModel)

LONGEST_NAME, LONGEST_PROMPT = 255, 2048
# A prompt whose every character is escaped, a name likewise, and air.
MOST_BODY_BYTES = 64 * 1024


class RoomWish(BaseModel):
    """A room to prepare. Without a prompt its calls go by their agent's."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    system_prompt: str | None = Field(default=None, max_length=LONGEST_PROMPT)


class PromptChange(BaseModel):
    """What the room's calls are to go by from now on."""

    system_prompt: str = Field(max_length=LONGEST_PROMPT)


class ShownRoom(BaseModel):
    """A room: prepared over HTTP, or a call."""

    id: str
    name: str
    system_prompt: str
    created_at: datetime
    active: Literal[True] = True
    metadata: dict[str, Any] | None = None


class Told(BaseModel):
    """It is done."""

    message: str


class ListenerHealth(BaseModel):
    """How the server is, and how many rooms and calls of it the caller has."""

    status: Literal["healthy", "degraded"]
    timestamp: datetime
    version: str
    active_rooms: int
    active_connections: int


def shown(room: Room) -> ShownRoom:
    return ShownRoom(
        id=room.id,
        name=room.name,
        system_prompt=room.system_prompt,
        created_at=room.created_at,
        metadata=room.metadata,
    )


async def read_body(request: Request, shape: type[BodyT], *, stall_s: float) -> BodyT:
    """The body as a model.

    Raises ``RequestValidationError``, ``TooLarge``, ``UploadStalled`` or ``BadRequest``.
    """
    gathered = bytearray()
    try:
        async with asyncio.timeout(stall_s):
            async for piece in request.stream():
                gathered += piece
                if len(gathered) > MOST_BODY_BYTES:
                    raise TooLarge(
                        f"The body is larger than {MOST_BODY_BYTES} bytes.",
                        hint=f"A prompt has at most {LONGEST_PROMPT} characters.",
                    )
    except TimeoutError as error:
        raise UploadStalled(f"The body did not come within {stall_s:g} s.") from error
    except ClientDisconnect as error:
        raise BadRequest("The body broke off.") from error
    try:
        return shape.model_validate(_parsed(bytes(gathered)))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from error


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        fault = {"loc": ("body",), "msg": "JSON decode error", "type": "json_invalid"}
        raise RequestValidationError([fault]) from error
