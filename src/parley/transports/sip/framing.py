"""Cuts a stream (TCP, TLS) into SIP messages by their Content-Length."""

from __future__ import annotations

from collections.abc import Iterator

from parley.transports.sip.grammar import Malformed
from parley.transports.sip.message import Message, Request, Response, body_length, read_head

PING = b"\r\n\r\n"
PONG = b"\r\n"


class Framer:
    """Takes pieces as they come, gives whole messages.

    Raises ``Malformed`` where the stream can't be followed any more: whoever reads it then has to
    close it, since nobody knows where the next message begins.
    """

    def __init__(self, max_head: int, max_body: int) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._held = bytearray()
        self._begun: Request | Response | None = None
        self._missing = 0
        self._searched = 0
        self.pings = 0

    @property
    def is_between(self) -> bool:
        """Whether everything that came has been given out."""
        return not self._held and self._begun is None

    def feed(self, data: bytes) -> Iterator[Request | Response]:
        self._held += data
        while True:
            if self._begun is None and not self._read_head():
                return
            if len(self._held) < self._missing:
                return
            message = self._begun
            assert message is not None
            message.body = bytes(self._held[: self._missing])
            del self._held[: self._missing]
            self._begun, self._missing = None, 0
            yield message

    def _read_head(self) -> bool:
        self._skip_keep_alives()
        end = self._held.find(PING, max(self._searched - 3, 0))
        if end < 0:
            self._searched = len(self._held)
            if len(self._held) > self._max_head:
                raise Malformed("the headers are too long")
            return False
        if end > self._max_head:
            raise Malformed("the headers are too long")
        message = read_head(bytes(self._held[:end]).decode("utf-8", "surrogateescape"))
        self._missing = _announced(message, self._max_body)
        del self._held[: end + len(PING)]
        self._begun, self._searched = message, 0
        return True

    def _skip_keep_alives(self) -> None:
        """A double line end asks whether anybody is there (RFC 5626); a single one is an answer."""
        if self._searched:
            return
        while self._held.startswith(b"\r\n"):
            if self._held.startswith(PING):
                self.pings += 1
                del self._held[: len(PING)]
            elif len(self._held) == 2:
                return
            else:
                del self._held[:2]


def _announced(message: Message, largest: int) -> int:
    length = body_length(message)
    if length is None:
        raise Malformed("on a stream a message needs a Content-Length")
    if length > largest:
        raise Malformed("the body is too long")
    return length
