"""SIP addresses: URIs, names with URIs, and the Via that says where an answer goes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote

from parley.transports.sip.grammar import (
    Malformed,
    is_token,
    printable,
    read_number,
    read_parameters,
    split_list,
)
from parley.transports.sip.grammar import (
    unquote as unquoted,
)

Carrier = Literal["udp", "tcp", "tls"]
CARRIERS: tuple[Carrier, ...] = ("udp", "tcp", "tls")
USUAL_PORT = {"udp": 5060, "tcp": 5060, "tls": 5061}
BRANCH_COOKIE = "z9hG4bK"

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?")
_VIA = re.compile(r"SIP\s*/\s*2\.0\s*/\s*([A-Za-z0-9-]+)\s+(.+)", re.IGNORECASE | re.DOTALL)
_NOT_IN_URI = re.compile(r'[\x00-\x20\x7f<>"\\^`{|}]')
_TEL_MARKS = str.maketrans("", "", "-.() ")
USER_MARKS = "-_.!~*'()&=+$,;?/"
"""What a user in a URI may hold as it is, beside letters and digits."""


class UnknownScheme(Malformed):
    """A URI that is no telephone's."""


@dataclass(frozen=True, slots=True)
class SipUri:
    """``sip:user@host:port;parameters``, or ``tel:`` with the number as user and no host.

    ``user`` is unescaped. ``text`` is the URI as it came: what is passed on is passed on as it is.
    """

    scheme: str
    user: str
    host: str
    port: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = ""

    @classmethod
    def read(cls, text: str) -> SipUri:
        """Raises ``UnknownScheme`` or ``Malformed``."""
        text = text.strip()
        scheme, colon, rest = text.partition(":")
        scheme = scheme.lower()
        if not colon or _NOT_IN_URI.search(text):
            raise Malformed(f"{printable(text)[:80]!r} is no URI")
        if scheme == "tel":
            number, _, parameters = rest.partition(";")
            return cls(
                scheme, number.translate(_TEL_MARKS), "", None, read_parameters(parameters), text
            )
        if scheme not in ("sip", "sips"):
            raise UnknownScheme(f"{scheme[:20]}: is no telephone's scheme")
        user_part, _, place = rest.rpartition("@")
        place = place.partition("?")[0]
        host_port, _, parameters = place.partition(";")
        host, port = read_host_port(host_port)
        user = unquote(user_part.partition(":")[0], errors="replace")
        return cls(scheme, user, host, port, read_parameters(parameters), text)

    @property
    def carrier(self) -> Carrier:
        """What the URI wants to be reached over."""
        if self.scheme == "sips":
            return "tls"
        wanted = self.parameters.get("transport", "udp").lower()
        for carrier in CARRIERS:
            if carrier == wanted:
                return carrier
        return "udp"

    @property
    def hop(self) -> Hop:
        """Where a request to this URI is sent. Raises ``Malformed`` where that is nowhere."""
        if not self.host:
            raise Malformed(f"{printable(self.text)} names no host")
        return Hop(self.carrier, self.host, self.port or USUAL_PORT[self.carrier])

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Hop:
    """A place that messages are sent to."""

    carrier: Carrier
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Address:
    """A name and a URI, as in From, To, Contact and Route; ``text`` is how it came."""

    name: str
    uri: SipUri
    parameters: Mapping[str, str]
    text: str

    @classmethod
    def read(cls, text: str) -> Address:
        """One address. Raises ``Malformed`` or ``UnknownScheme``."""
        text = text.strip()
        opening = _bracket(text)
        if opening < 0:
            # Without brackets parameters are the header's, not the URI's.
            bare, semicolon, rest = text.partition(";")
            return cls("", SipUri.read(bare), read_parameters(semicolon + rest), text)
        closing = text.find(">", opening)
        if closing < 0:
            raise Malformed("a bracket is not closed")
        rest = text[closing + 1 :].strip()
        if rest and not rest.startswith(";"):
            raise Malformed("there is something behind an address")
        name = printable(unquoted(text[:opening].strip()))
        uri = SipUri.read(text[opening + 1 : closing])
        return cls(name, uri, read_parameters(rest), text)

    @property
    def tag(self) -> str:
        return self.parameters.get("tag", "")


def _bracket(text: str) -> int:
    """Where the angle bracket opens that isn't within quotes; -1 where none does."""
    if not text.startswith('"'):
        return text.find("<")
    position = 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    return text.find("<", position)


@dataclass(frozen=True, slots=True)
class Via:
    """One station of a message's way; ``text`` is how it came."""

    carrier: str
    host: str
    port: int | None
    parameters: Mapping[str, str]
    text: str

    @classmethod
    def read(cls, text: str) -> Via:
        """Raises ``Malformed``."""
        match = _VIA.fullmatch(text.strip())
        if match is None:
            raise Malformed("a Via can't be read")
        place, _, parameters = match[2].partition(";")
        host, port = read_host_port(place)
        return cls(match[1].lower(), host, port, read_parameters(parameters), text.strip())

    @property
    def branch(self) -> str:
        return self.parameters.get("branch", "")

    def stamped(self, host: str, port: int) -> str:
        """The Via with what its sender can't know: where the message really came from."""
        head, *parameters = split_list(self.text, ";")
        kept = [p for p in parameters if p.partition("=")[0].strip().lower() != "received"]
        kept = [f"rport={port}" if p.strip().lower() == "rport" else p for p in kept]
        # In brackets an IPv6 address is a host to every reader; without, only to some (RFC 5118).
        return ";".join([head, *kept, f"received={write_host(without_zone(host))}"])


def without_zone(host: str) -> str:
    """``fe80::1%eth0`` without the name of our own interface, which means nothing to others."""
    return host.partition("%")[0]


def read_host_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port`` or ``[v6]:port``; brackets are kept off the host."""
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise Malformed("an IPv6 address can't be read") from error
        if not bracket or (rest and not rest.startswith(":")):
            raise Malformed("an IPv6 address can't be read")
    else:
        host, colon, port = text.partition(":")
        host, rest = host.strip(), colon + port
        if not _HOST_NAME.fullmatch(host):
            raise Malformed(f"{printable(host)[:60]!r} is no host")
    if not rest:
        return host, None
    port_number = read_number(rest[1:].strip(), 65535)
    if port_number == 0:
        raise Malformed("0 is no port")
    return host, port_number


def write_host(host: str) -> str:
    """With the brackets that an IPv6 address wears in URIs."""
    return f"[{host}]" if ":" in host else host


def write_uri(user: str, host: str, port: int, carrier: Carrier = "udp") -> str:
    """A ``sip:`` URI of our own making."""
    name = f"{quote(user, safe=USER_MARKS)}@" if user else ""
    suffix = "" if carrier == "udp" else f";transport={carrier}"
    return f"sip:{name}{write_host(host)}:{port}{suffix}"


def is_method(text: str) -> bool:
    return is_token(text) and len(text) <= 32
