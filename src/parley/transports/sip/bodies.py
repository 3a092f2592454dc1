"""What a message carries: the session description, alone or among other parts."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message as Mail
from email.policy import SMTP

from parley.core.errors import UnsupportedMedia
from parley.transports.sip.message import Message

SDP = "application/sdp"


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
    head = f"Content-Type: {message.headers.first('content-type')}\r\n\r\n".encode(
        "utf-8", "surrogateescape"
    )
    whole = message_from_bytes(head + message.body, policy=SMTP)
    for part in whole.walk():
        if part.get_content_type() == SDP:
            return _text(part)
    raise UnsupportedMedia("No part of the body is a session description.", hint=f"Send {SDP}.")


def _text(part: Mail) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
