"""What a message carries: the session description, alone or among other parts."""

from __future__ import annotations

from email.message import Message as Mail
from email.parser import BytesParser
from email.policy import compat32

from parley.core.errors import UnsupportedMedia
from parley.transports.sip.grammar import loose_parameters
from parley.transports.sip.message import Message

SDP = "application/sdp"
BLANK_LINE = b"\r\n\r\n"
# More than any gateway sends: of parts side by side, and within each other.
MOST_PARTS, DEEPEST = 16, 3


def sdp_line() -> tuple[str, str]:
    return ("Content-Type", SDP)


def with_sdp(sdp: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a message with a session description; nothing for ""."""
    return ([sdp_line()], sdp.encode()) if sdp else ([], b"")


def content_type(message: Message) -> str:
    """The body's type without parameters, in small letters."""
    return message.headers.first("content-type").partition(";")[0].strip().lower()


def sdp_of(message: Message) -> str:
    """The session description in a message, "" without one. Raises ``UnsupportedMedia``."""
    if not message.body:
        return ""
    encoding = message.headers.first("content-encoding").strip().lower()
    kind = content_type(message)
    if encoding in ("", "identity"):
        if kind in (SDP, ""):
            return message.text
        if kind.startswith("multipart/"):
            return _sdp_among_parts(message)
    raise UnsupportedMedia(
        f"The body is {kind or 'unknown'} {encoding}".strip() + ".",
        hint=f"Send {SDP}.",
    )


def _sdp_among_parts(message: Message) -> str:
    """Gateways add ISUP or a location beside the session description."""
    found = _part_with_sdp(message.headers.first("content-type"), message.body, DEEPEST)
    if found is None:
        raise UnsupportedMedia("No part of the body is a session description.", hint=f"Send {SDP}.")
    payload = found.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _part_with_sdp(kind: str, body: bytes, deepest: int) -> Mail | None:
    # Python's own reader goes as deep as the sender likes, and takes seconds over one datagram.
    for piece in _parts(kind, body):
        part = BytesParser(policy=compat32).parsebytes(piece, headersonly=True)
        if part.get_content_type() == SDP:
            return part
        if part.get_content_maintype() == "multipart" and deepest > 1:
            inside = piece.partition(BLANK_LINE)[2]
            found = _part_with_sdp(str(part["content-type"]), inside, deepest - 1)
            if found is not None:
                return found
    return None


def _parts(kind: str, body: bytes) -> list[bytes]:
    """What stands between the boundaries that ``kind`` names: heads with their contents."""
    boundary = loose_parameters(kind.partition(";")[2]).get("boundary", "")
    if not boundary:
        return []
    if b"\r\n" not in body:
        body = body.replace(b"\n", b"\r\n")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    pieces = (b"\r\n" + body).split(delimiter, MOST_PARTS + 1)[1 : MOST_PARTS + 1]
    # Two dashes behind a boundary are the end.
    return [piece.partition(b"\r\n")[2] for piece in pieces if not piece.startswith(b"--")]
