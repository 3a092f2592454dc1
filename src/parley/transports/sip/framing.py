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
        return self._begun is None and bytes(self._held) in (b"", PONG)

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
        if not self._skip_keep_alives():
            return False
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

    def _skip_keep_alives(self) -> bool:
        """Whether a message begins, behind the line ends that nobody means anything by.

        Two of them ask whether anybody is there (RFC 5626); one is the answer.
        """
        while self._held.startswith(b"\r"):
            if len(self._held) < len(PING) and PING.startswith(self._held):
                return False
            if self._held.startswith(PING):
                self.pings += 1
                del self._held[: len(PING)]
            elif self._held.startswith(PONG):
                del self._held[: len(PONG)]
            else:
                raise Malformed("a line end is broken")
        return bool(self._held)


def _announced(message: Message, largest: int) -> int:
    length = body_length(message)
    if length is None:
        raise Malformed("on a stream a message needs a Content-Length")
    if length > largest:
        raise Malformed("the body is too long")
    return length
