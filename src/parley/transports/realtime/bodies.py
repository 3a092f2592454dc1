"""What Realtime's HTTP routes take: bounded bodies, an offer with or without its session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, cast

from fastapi import Request
from starlette.requests import ClientDisconnect

from parley.core.errors import (
    BadRequest,
    InvalidValue,
    MissingParameter,
    TooLarge,
    UnsupportedMedia,
    UploadStalled,
)
from parley.core.json_marks import JsonMarks
from parley.transports.webrtc.sdp import MAX_SDP_BYTES

MOST_BODY_BYTES = 512 * 1024
BODY_S = 20.0
"""How long a body may take to come."""

SDP, FORM, JSON = "application/sdp", "multipart/form-data", "application/json"
# Whoever is cut off while they send see a broken connection instead of the answer.
_LINGER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class CallForm:
    """An offer, and how its session is to begin."""

    sdp: str
    session: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def read_call(request: Request) -> CallForm:
    """The offer alone as ``application/sdp``, or a form of ``sdp`` and ``session``.

    Raises ``UnsupportedMedia``, ``TooLarge``, ``UploadStalled`` or ``BadRequest``.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (SDP, FORM):
        raise UnsupportedMedia(
            f"The body is {kind or 'of no type'!r}.",
            hint=f"Send the offer as {SDP}, or {FORM} with the parts sdp and session.",
        )
    body = await read_body(request)
    if kind == SDP:
        return CallForm(_offer(body))
    parts = _parts(content_type, body)
    if "sdp" not in parts:
        raise MissingParameter("The form has no part sdp.", param="sdp")
    session = parts.get("session", b"").strip()
    return CallForm(_offer(parts["sdp"]), read_object(session, "session") if session else {})


async def read_body(request: Request) -> bytes:
    body, length = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                length += len(piece)
                if length <= MOST_BODY_BYTES:
                    body += piece
                elif length > _LINGER_BYTES:
                    break
    except TimeoutError as error:
        raise UploadStalled(f"The body took longer than {BODY_S:g} s.") from error
    except ClientDisconnect as error:
        raise BadRequest("The body ended before it was complete.") from error
    if length > MOST_BODY_BYTES:
        raise TooLarge(f"The body is larger than {MOST_BODY_BYTES:,} bytes.")
    return bytes(body)


def read_object(text: bytes, name: str = "") -> dict[str, Any]:
    """A JSON object; ``name`` is the field that it is. Raises ``InvalidValue`` or ``TooLarge``."""
    what = name or "The body"
    JsonMarks().add(text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{what} is no valid JSON: {error}.", param=name or None) from error
    if not isinstance(found, dict):
        raise InvalidValue(f"{what} is no JSON object.", param=name or None)
    return cast(dict[str, Any], found)


def _offer(sdp: bytes) -> str:
    if len(sdp) > MAX_SDP_BYTES:
        raise TooLarge(f"The offer is longer than {MAX_SDP_BYTES:,} bytes.", param="sdp")
    return sdp.decode("utf-8", "replace")


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a form by name."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary", "")
    if not isinstance(boundary, str) or not boundary or not boundary.isascii():
        raise BadRequest("The form has no boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadRequest("The form ended before its last boundary.")
    found: dict[str, bytes] = {}
    for piece in pieces[1:-1]:
        block, gap, content = piece.partition(b"\r\n\r\n")
        if name := _name_of(block) if gap else "":
            found[name] = content
    return found


def _name_of(block: bytes) -> str:
    headers = Message()
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            headers["content-disposition"] = value.strip()
    name = headers.get_param("name", "", "content-disposition")
    return name if isinstance(name, str) else ""
