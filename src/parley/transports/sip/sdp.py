"""Session descriptions as text (RFC 8866): read with patience, written in good order."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from parley.core.errors import BadOffer

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

MAX_SDP_CHARACTERS = 32_768
MAX_MEDIA_LINES = 32
_MAX_ATTRIBUTES = 512
_MASTER_BYTES = 30
_HINT = "Send a session description as in RFC 8866, with an m=audio line."


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` line (RFC 4568): ``master`` is key and salt."""

    tag: int
    suite: str
    master: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Crypto | None:
        """None for what we can't do: other key methods, MKIs, session parameters."""
        parts = text.split()
        if len(parts) != 3 or not _is_number(parts[0], 999_999_999):
            return None
        method, _, key = parts[2].partition(":")
        key, *more = key.split("|")
        if method.lower() != "inline" or any(":" in part for part in more):
            return None
        try:
            master = base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(master) != _MASTER_BYTES:
            return None
        return cls(int(parts[0]), parts[1].upper(), master)

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.master).decode()}"


@dataclass(frozen=True, slots=True)
class Media:
    """An ``m=`` section. ``host`` is its own connection address or that of the session."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str = ""
    direction: Direction = "sendrecv"
    attributes: tuple[tuple[str, str], ...] = ()

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.attributes if key == name), None)

    def has(self, name: str) -> bool:
        return self.first(name) is not None

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]

    @property
    def rtpmaps(self) -> Mapping[int, str]:
        """What the formats are called, in small letters: ``opus/48000/2``."""
        found: dict[int, str] = {}
        for value in self.every("rtpmap"):
            number, _, name = value.partition(" ")
            if _is_number(number, 127):
                found.setdefault(int(number), name.strip().lower())
        return found

    @property
    def crypto(self) -> list[Crypto]:
        return [c for value in self.every("crypto") if (c := Crypto.read(value)) is not None]

    def number(self, name: str, most: int) -> int | None:
        """The attribute's leading whole number, None where it makes no sense."""
        word = (self.first(name) or "").strip().partition(" ")[0].partition(".")[0]
        return int(word) if _is_number(word, most) else None

    @property
    def rtcp(self) -> tuple[str, int]:
        """Where reports go: ``a=rtcp``, or the port behind that of the sound."""
        port, _, rest = (self.first("rtcp") or "").strip().partition(" ")
        if not _is_number(port, 65_535) or not int(port):
            return self.host, min(self.port + 1, 65_535)
        return _host(rest) or self.host, int(port)


@dataclass(frozen=True, slots=True)
class Description:
    media: tuple[Media, ...]


def read_description(text: str) -> Description:
    """Raises ``BadOffer``, and nothing else, for what is no session description."""
    if len(text) > MAX_SDP_CHARACTERS:
        raise BadOffer(f"The SDP is longer than {MAX_SDP_CHARACTERS} characters.", hint=_HINT)
    session, sections = _sections(text)
    if not session and not sections:
        raise BadOffer("The SDP is empty.", hint=_HINT)
    if not sections:
        raise BadOffer("The SDP has no m= line.", hint=_HINT)
    if len(sections) > MAX_MEDIA_LINES:
        raise BadOffer(f"The SDP has more than {MAX_MEDIA_LINES} m= lines.", hint=_HINT)
    common = _attributes(session)
    host = _connection(session)
    return Description(tuple(_media(lines, host, common) for lines in sections))


def write_lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def address_type(host: str) -> str:
    return "IP6" if ":" in host else "IP4"


Line = tuple[str, str]


def _sections(text: str) -> tuple[list[Line], list[list[Line]]]:
    """The lines of the session and those of each medium, by their letter."""
    session: list[Line] = []
    sections: list[list[Line]] = []
    for raw in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = raw.strip()
        if not line:
            continue
        letter, equals, value = line[0], line[1:2], line[2:]
        if equals != "=" or not letter.isalpha():
            raise BadOffer(f"The SDP has a line that makes no sense: {line[:60]!r}.", hint=_HINT)
        if letter == "m":
            sections.append([])
        (sections[-1] if sections else session).append((letter, value.strip()))
    if session and session[0] != ("v", "0"):
        raise BadOffer("The SDP doesn't begin with v=0.", hint=_HINT)
    return session, sections


def _media(lines: list[Line], session_host: str, common: list[Line]) -> Media:
    words = lines[0][1].split()
    if len(words) < 4:
        raise BadOffer(f"The line m={lines[0][1][:60]} is too short.", hint=_HINT)
    port = words[1].partition("/")[0]
    if not _is_number(port, 65_535):
        raise BadOffer(f"The line m={lines[0][1][:60]} has no port.", hint=_HINT)
    attributes = _attributes(lines)
    return Media(
        kind=words[0].lower(),
        port=int(port),
        protocol=words[2].upper(),
        formats=tuple(words[3:]),
        host=_connection(lines) or session_host,
        direction=_direction(attributes) or _direction(common) or "sendrecv",
        attributes=tuple(attributes + common),
    )


def _attributes(lines: list[Line]) -> list[Line]:
    found: list[Line] = []
    for letter, value in lines:
        if letter == "a":
            name, _, rest = value.partition(":")
            found.append((name.strip().lower(), rest.strip()))
    if len(found) > _MAX_ATTRIBUTES:
        raise BadOffer(f"The SDP has more than {_MAX_ATTRIBUTES} attributes.", hint=_HINT)
    return found


def _direction(attributes: list[Line]) -> Direction | None:
    names = {name for name, _ in attributes}
    return next((direction for direction in DIRECTIONS if direction in names), None)


def _connection(lines: list[Line]) -> str:
    return next((_host(value) for letter, value in lines if letter == "c"), "")


def _host(text: str) -> str:
    """The address in ``IN IP4 192.0.2.1``; "" where there is none. A name is kept as it is."""
    words = text.split()
    if not words:
        return ""
    if len(words) < 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
        raise BadOffer(f"The SDP has an address that makes no sense: {text[:60]!r}.", hint=_HINT)
    host = words[2].partition("/")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most
