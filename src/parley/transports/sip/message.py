"""SIP messages: read from the wire with care for strangers, written without surprises."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from parley.transports.sip.addresses import Address, Via, is_method
from parley.transports.sip.grammar import Malformed, is_token, read_number, split_list

SIP = "SIP/2.0"
MAX_HEADERS = 200

_LONG = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
# Spaces before the line's end stay: to look for them takes a second in a line of nothing else.
_FOLD = re.compile(r"\r\n[ \t]+")
_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length")
_PHRASES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    202: "Accepted",
    404: "Not Found",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


def phrase_of(status: int) -> str:
    """The words that go with a status."""
    if status in _PHRASES:
        return _PHRASES[status]
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"


class Headers:
    """Headers in their order; names are compared without regard to case or compact forms."""

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._lines: list[tuple[str, str]] = []
        for name, value in lines:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append a line. A value that would break out of its line is a mistake of ours."""
        if not is_token(name) or "\r" in value or "\n" in value or "\0" in value:
            raise Malformed(f"{name[:40]!r} can't be a header with that value")
        self._lines.append((name, value))

    def first(self, name: str) -> str:
        """The first line's value, "" where there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """The values of all lines of that name, as they stand."""
        return [value for key, value in self._lines if long_name(key) == name.lower()]

    def listed(self, name: str) -> list[str]:
        """The same with lists taken apart at their commas."""
        return [part for value in self.all(name) for part in split_list(value)]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.all(name))


def long_name(name: str) -> str:
    """``f`` → ``from``; in small letters."""
    lowered = name.lower()
    return _LONG.get(lowered, lowered)


@dataclass(eq=False)
class Message(ABC):
    """What requests and responses share."""

    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    @abstractmethod
    def start_line(self) -> str:
        """The first line, which says whether it asks or answers."""

    def encode(self) -> bytes:
        """The message as it goes over the wire, with its Content-Length."""
        lines = [self.start_line]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    @property
    def call_id(self) -> str:
        return self.headers.first("call-id")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


@dataclass(eq=False)
class Request(Message):
    """A request. What every request must have is read once, by ``check``."""

    method: str = ""
    uri: str = ""
    version: str = SIP
    via: Via | None = None
    from_: Address | None = None
    to: Address | None = None
    cseq: int = 0

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} {SIP}"

    @property
    def top_via(self) -> Via:
        assert self.via is not None, "the request has not been checked"
        return self.via

    @property
    def caller(self) -> Address:
        assert self.from_ is not None, "the request has not been checked"
        return self.from_

    @property
    def callee(self) -> Address:
        assert self.to is not None, "the request has not been checked"
        return self.to

    def read_via(self) -> None:
        """Read where an answer goes; without that there can't be one. Raises ``Malformed``."""
        vias = self.headers.all("via")
        if not vias:
            raise Malformed("there is no Via")
        self.via = Via.read(split_list(vias[0])[0])

    def check(self) -> None:
        """Read what every request must have. Raises ``Malformed``."""
        _check_counts(self.headers)
        number, _, method = self.headers.first("cseq").strip().partition(" ")
        self.cseq = read_number(number)
        if method.strip() != self.method:
            raise Malformed("CSeq names another method")
        self.from_ = Address.read(self.headers.first("from"))
        self.to = Address.read(self.headers.first("to"))
        if not self.call_id:
            raise Malformed("there is no Call-ID")


@dataclass(eq=False)
class Response(Message):
    """A response."""

    status: int = 0
    phrase: str = ""

    @property
    def start_line(self) -> str:
        return f"{SIP} {self.status} {self.phrase or phrase_of(self.status)}"

    @property
    def is_final(self) -> bool:
        return self.status >= 200

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def to_tag(self) -> str:
        return Address.read(self.headers.first("to")).tag

    def transaction_key(self) -> tuple[str, str]:
        """The branch and the method of the request that it answers. Raises ``Malformed``."""
        _check_counts(self.headers)
        vias = self.headers.listed("via")
        number, _, method = self.headers.first("cseq").strip().partition(" ")
        read_number(number)
        if not vias:
            raise Malformed("there is no Via")
        Address.read(self.headers.first("to"))
        return Via.read(vias[0]).branch, method.strip()


def _check_counts(headers: Headers) -> None:
    for name in _ONCE:
        found = len(headers.all(name))
        if found > 1:
            raise Malformed(f"there are {found} {name} headers")


def read_head(head: str) -> Request | Response:
    """The start line and headers of a message. Raises ``Malformed``."""
    first, _, rest = head.partition("\r\n")
    message = _read_start(first)
    lines = _FOLD.sub(" ", rest).split("\r\n") if rest else []
    if len(lines) > MAX_HEADERS:
        raise Malformed(f"there are more than {MAX_HEADERS} headers")
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed("a header has no colon")
        message.headers.add(name.strip(" \t"), value.strip(" \t"))
    return message


def _read_start(line: str) -> Request | Response:
    words = line.split(" ")
    if words[0].upper() == SIP and len(words) >= 2:
        status = read_number(words[1], 699)
        if status < 100:
            raise Malformed("a status has three digits")
        return Response(status=status, phrase=" ".join(words[2:]))
    if len(words) != 3 or not is_method(words[0]) or not words[1]:
        raise Malformed("the first line is neither a request's nor a response's")
    if not words[2].upper().startswith("SIP/"):
        raise Malformed("this is not SIP")
    return Request(method=words[0], uri=words[1], version=words[2].upper())


def read_datagram(data: bytes, max_head: int) -> Request | Response:
    """A whole message. Raises ``Malformed``; bytes behind the announced body are not its."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator or len(head) > max_head:
        raise Malformed("the headers don't end, or are too long")
    message = read_head(head.decode("utf-8", "surrogateescape"))
    message.body = body
    return message


def body_length(message: Message) -> int | None:
    """What Content-Length says; None where it says nothing. Raises ``Malformed``."""
    value = message.headers.first("content-length")
    return read_number(value) if value else None
