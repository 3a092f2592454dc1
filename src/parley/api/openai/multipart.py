"""Reads multipart/form-data as it comes, holding no more than a boundary's length of it back."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto

from parley.core.errors import BadRequest

MOST_PARTS = 256
MOST_HEADER_BYTES = 16 * 1024
# RFC 2046.
LONGEST_BOUNDARY = 70


@dataclass(frozen=True, slots=True)
class PartBegins:
    """``filename`` is None for a plain field."""

    name: str
    filename: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class PartData:
    data: bytes


Event = PartBegins | PartData


class _Reading(Enum):
    PREAMBLE = auto()
    BORDER = auto()
    HEADERS = auto()
    BODY = auto()
    EPILOGUE = auto()


class MultipartReader:
    """``push`` the body piece by piece; it gives what the pieces completed."""

    def __init__(self, content_type: str) -> None:
        self._border = b"\r\n--" + _boundary(content_type)
        # The first boundary needs no line end before it.
        self._held = bytearray(b"\r\n")
        self._reading = _Reading.PREAMBLE
        self._parts = 0

    def push(self, piece: bytes) -> list[Event]:
        """Raises ``BadRequest`` for what is no form."""
        self._held += piece
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def end(self) -> None:
        """Raises ``BadRequest`` if the last boundary never came."""
        if self._reading is not _Reading.EPILOGUE:
            raise BadRequest("The form ended before its last boundary.")

    def _step(self, events: list[Event]) -> bool:
        """Take one thing out of what is held; False when more must come first."""
        if self._reading is _Reading.BORDER:
            return self._behind_border()
        if self._reading is _Reading.HEADERS:
            return self._headers(events)
        if self._reading is _Reading.EPILOGUE:
            self._held.clear()
            return False
        return self._content(events)

    def _content(self, events: list[Event]) -> bool:
        at = self._held.find(self._border)
        is_whole = at >= 0
        length = at if is_whole else max(len(self._held) - len(self._border) + 1, 0)
        if length and self._reading is _Reading.BODY:
            events.append(PartData(bytes(self._held[:length])))
        del self._held[: length + len(self._border) if is_whole else length]
        if is_whole:
            self._reading = _Reading.BORDER
        return is_whole

    def _behind_border(self) -> bool:
        if self._held.startswith(b"--"):
            self._reading = _Reading.EPILOGUE
            return True
        line_end = self._held.find(b"\r\n")
        if line_end < 0:
            if len(self._held) > LONGEST_BOUNDARY:
                raise BadRequest("A boundary of the form has no line end.")
            return False
        if self._held[:line_end].strip(b" \t"):
            raise BadRequest("A boundary of the form is followed by something else.")
        # The headers' first line begins at a line end, so that none may be found at once.
        del self._held[:line_end]
        self._reading = _Reading.HEADERS
        return True

    def _headers(self, events: list[Event]) -> bool:
        end = self._held.find(b"\r\n\r\n")
        if end > MOST_HEADER_BYTES or (end < 0 and len(self._held) > MOST_HEADER_BYTES):
            raise BadRequest("A part of the form has too long headers.")
        if end < 0:
            return False
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadRequest(f"The form has more than {MOST_PARTS} parts.")
        events.append(_part(bytes(self._held[:end])))
        del self._held[: end + 4]
        self._reading = _Reading.BODY
        return True


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary", "")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise BadRequest(
            "The body is no form.", hint="Send multipart/form-data, with the sound as file."
        )
    if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii():
        raise BadRequest("The form's boundary is missing or too long.")
    return boundary.encode()


def _part(block: bytes) -> PartBegins:
    message = Message()
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in ("content-disposition", "content-type"):
            message[name.strip()] = value.strip()
    name = message.get_param("name", None, "content-disposition")
    if not isinstance(name, str) or not name:
        raise BadRequest("A part of the form has no name.")
    content_type = message.get("content-type", "")
    return PartBegins(name, message.get_filename(), content_type)
