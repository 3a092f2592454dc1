"""Rules that say which agent answers a telephone call, as they are written in a setting."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from parley.settings.values import words

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FROM, DIVERTED, VIA = "from:", "diverted:", "via:"
_KINDS = (FROM, DIVERTED, VIA)
_ANY = "*"
_NUMBER = re.compile(r"[+*#\d][-.()*#\d]*")
_MARKS = str.maketrans("", "", "-.()")
_NAME = re.compile(r"[^\s:@=<>]+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Whom an address names: ``user`` or, where ``is_open``, whoever begins so; at ``host``, at any
    below it where that begins with ``*.``, or anywhere ("")."""

    user: str
    is_open: bool = False
    host: str = ""

    @classmethod
    def read(cls, text: str) -> Pattern:
        """``+4930*@pbx.example``; raises ``ValueError``."""
        user, _, host = text.partition("@")
        if not user or "@" in host or ("@" in text and not host):
            raise ValueError(f"{text!r} is no number, such as +4930*, 200 or *@pbx.example")
        if "*" in user[1:-1]:
            raise ValueError(f"in {text!r} a * that stands for the rest isn't at the end")
        host = host.strip("[]").lower()
        if ":" in host and not _is_address(host):
            raise ValueError(f"{text!r} has a port, and ports aren't compared")
        # A star by itself, or behind something, is whatever follows; before digits it is a key.
        is_open = user.endswith(_ANY)
        return cls(plain_number(user.removesuffix(_ANY)), is_open, host)

    def fits(self, user: str, host: str) -> bool:
        user = plain_number(user)
        if not (user.startswith(self.user) if self.is_open else user == self.user):
            return False
        host = host.lower()
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return self.host in ("", host)


@dataclass(frozen=True, slots=True)
class AgentRule:
    """Calls that fit everything that is said here are answered by ``agent``, as ``tenant`` has it
    ("" is the house's own). ``text`` is the rule as it was written."""

    text: str
    agent: str
    tenant: str = ""
    dialled: Pattern | None = None
    caller: Pattern | None = None
    diverted: Pattern | None = None
    via: Network | None = None

    @classmethod
    def read(cls, text: str) -> AgentRule:
        """``+4930* from:+49171* via:10.0.0.0/24=tenant:agent``; raises ``ValueError``."""
        text = text.strip()
        conditions, equals, answers = text.rpartition("=")
        if not equals or not conditions.strip():
            raise ValueError(f"{text!r} doesn't look like NUMBER=AGENT")
        tenant, colon, agent = (part.strip() for part in answers.rpartition(":"))
        names = (tenant, agent) if colon else (agent,)
        if not all(_NAME.fullmatch(name) for name in names):
            raise ValueError(f"{answers.strip()!r} in {text!r} is no agent, nor TENANT:AGENT")
        return cls(text, agent, tenant, **_conditions(conditions.split(), text))

    def __str__(self) -> str:
        return self.text


def _conditions(listed: Iterable[str], text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for condition in listed:
        kind = next((kind for kind in _KINDS if condition.startswith(kind)), "")
        value = condition.removeprefix(kind)
        field = {FROM: "caller", DIVERTED: "diverted", VIA: "via"}.get(kind, "dialled")
        if field in found:
            raise ValueError(f"{text!r} says {kind or 'the number'} twice")
        if not kind and ":" in condition.partition("@")[0]:
            raise ValueError(f"{condition!r} is no condition; there are {', '.join(_KINDS)}")
        found[field] = _network(value) if kind == VIA else Pattern.read(value)
    return found


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} after {VIA} is no address and no network") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def plain_number(user: str) -> str:
    """A number without what only makes it easier to read, and without parameters; names as they
    are."""
    number = user.partition(";")[0]
    return number.translate(_MARKS) if _NUMBER.fullmatch(number) else user


def _rules(value: object) -> object:
    listed = words(value)
    if not isinstance(listed, list | tuple):
        return value
    return tuple(AgentRule.read(str(each)) for each in cast("Iterable[object]", listed))


AgentRules = Annotated[tuple[AgentRule, ...], NoDecode, BeforeValidator(_rules)]
