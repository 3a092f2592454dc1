"""Which addresses tools and webhooks may reach: so that nobody's URL leads into our network.

A name is looked up once, and the connection goes to the very address that was checked: a name
that means something else a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from parley.core.errors import DestinationRefused, InvalidValue
from parley.tools.webhook.lookups import Lookups

T = TypeVar("T")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""``look_up(host, port)``: the addresses of a name. Raises ``OSError``."""

ANYWHERE: Final = "*"
"""Listed, it stands for every public host."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What a network translates for itself (RFC 8215): not every Python knows that it isn't public.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
# Azure's machines get certificates and settings from this one; to the world it looks public.
_WIRE_SERVER = ipaddress.IPv4Address("168.63.129.16")
# Set aside for protocols; one cloud has its credentials there. Not every Python knows all of it.
_PROTOCOLS_OWN = ipaddress.IPv4Network("192.0.0.0/24")
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HostRule:
    """One host that may be reached, on one port or (0) on all. ``*.example.org`` is every name
    below example.org."""

    host: str
    port: int = 0

    @classmethod
    def read(cls, text: str) -> HostRule:
        """``host``, ``host:port``, ``*.domain``, ``[::1]:port`` or a URL. Raises ``ValueError``."""
        if (literal := _literal(text)) is not None:
            return cls(str(literal))
        parts = urlsplit(text if "://" in text else f"//{text}")
        host = _plain(parts.hostname or "")
        if (
            not host
            or parts.username
            or re.search(r"[\s/,]", host)
            or ("://" not in text and parts.path)
        ):
            raise ValueError(f"{text} is no host")
        if ANYWHERE in host.removeprefix("*.") and host != ANYWHERE:
            raise ValueError(f"{text} is no host: a * stands alone or before the first dot")
        return cls(host, parts.port or _DEFAULT_PORTS.get(parts.scheme, 0))

    def fits(self, host: str, port: int) -> bool:
        if self.port not in (0, port):
            return False
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return host == self.host


class Destinations:
    """Where requests of tools and webhooks may go.

    ``listed`` are the hosts of the setting PARLEY_TOOL_HOSTS. Without any, every public address
    may be reached; with some, those alone. ``implied`` are base URLs that the operator configured
    for something else (n8n, an MCP server): they need not be listed. A private address, or this
    machine's own, is reached only by a host that is listed or implied; an address of the link
    (cloud providers answer there with credentials) only where it is listed itself.
    """

    def __init__(
        self,
        listed: Iterable[str] = (),
        implied: Iterable[str] = (),
        look_up: LookUp | None = None,
    ) -> None:
        self._listed = [HostRule.read(text) for text in listed]
        self._implied = [HostRule.read(url) for url in implied if url]
        self._lookups = Lookups()
        self._look_up = look_up or self._lookups.look_up

    def close(self) -> None:
        self._lookups.close()

    def plus(self, url: str) -> Destinations:
        """The same, and that URL's host, which the operator has configured."""
        more = Destinations(look_up=self._look_up)
        more._listed, more._implied = self._listed, [*self._implied, HostRule.read(url)]
        return more

    def require_url(self, url: str) -> None:
        """Raises ``InvalidValue`` for what is no http(s) URL, and ``DestinationRefused`` for a
        host that may not be reached whatever its address is."""
        try:
            parts = urlsplit(url)
            host, port = _plain(parts.hostname or ""), parts.port or 0
        except ValueError as error:
            raise InvalidValue(f"{_shown(url)} is not a URL.") from error
        if parts.scheme not in _DEFAULT_PORTS or not host:
            raise InvalidValue(f"{_shown(url)} is not a URL that starts with http:// or https://.")
        if parts.username is not None or parts.password is not None:
            raise InvalidValue("A URL may not hold a password.", hint="Send it in a header.")
        rule = self._rule_for(host, port or _DEFAULT_PORTS[parts.scheme])
        literal = _literal(host)
        if literal is None and _is_this_machine(host):
            literal = _LOOPBACK
        if literal is not None:
            self._require_address(host, literal, rule)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of that host which may be connected to, best first.

        Raises ``DestinationRefused`` where there is none, and ``OSError`` for an unknown name.
        """
        host = _plain(host)
        rule = self._rule_for(host, port)
        literal = _literal(host)
        found = [str(literal)] if literal else list(dict.fromkeys(await self._look_up(host, port)))
        refusal: DestinationRefused | None = None
        allowed: list[str] = []
        for text in found:
            try:
                self._require_address(host, ipaddress.ip_address(text.partition("%")[0]), rule)
            except DestinationRefused as error:
                refusal = error
            else:
                allowed.append(text)
        if refusal is not None and not allowed:
            raise refusal
        if not allowed:
            raise OSError(f"{host} has no address")
        return allowed

    async def connect(
        self,
        host: str,
        port: int,
        within_s: float,
        connect: Callable[[str, float], Awaitable[T]],
        failures: tuple[type[Exception], ...],
    ) -> T:
        """What ``connect(address, within_s)`` gives for the first address of the host that can be
        reached; one that raises one of ``failures`` is passed over.

        Raises ``DestinationRefused``, ``TimeoutError``, ``OSError`` for an unknown name, or what
        the last address failed with.
        """
        until_s = time.monotonic() + within_s
        async with asyncio.timeout(within_s):
            addresses = await self.addresses(host, port)
        failure: Exception = TimeoutError(f"{host} could not be looked up in time")
        for place, address in enumerate(addresses):
            # One that doesn't answer must leave the others some time.
            left_s = (until_s - time.monotonic()) / (len(addresses) - place)
            if left_s <= 0:
                break
            try:
                return await connect(address, left_s)
            except failures as error:
                failure = error
        raise failure

    def _rule_for(self, host: str, port: int) -> HostRule | None:
        """The rule that names the host; None where any public host may be reached."""
        rules = [rule for rule in self._listed if rule.host != ANYWHERE]
        for rule in (*self._implied, *rules):
            if rule.fits(host, port):
                return rule
        if not self._listed or len(rules) < len(self._listed):
            return None
        raise DestinationRefused(
            f"{host}:{port} is not among the hosts that tools may reach.",
            hint="Add it to PARLEY_TOOL_HOSTS.",
        )

    def _require_address(self, host: str, address: Address, rule: HostRule | None) -> None:
        real = _unwrapped(address)
        names_itself = rule is not None and _literal(rule.host) is not None
        if real.is_unspecified or real.is_multicast:
            is_allowed = False
        elif real.is_link_local:
            is_allowed = names_itself
        else:
            is_allowed = rule is not None or _is_public(real)
        if not is_allowed:
            raise DestinationRefused(
                f"{host} leads to an address of this machine or of a private network.",
                hint=f"Add {host} to PARLEY_TOOL_HOSTS if tools are meant to reach it.",
            )


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _is_this_machine(host: str) -> bool:
    """Whether a name can mean nothing else (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (
        address.is_site_local or address in _LOCAL_NAT64
    ):
        return False
    if address in _PROTOCOLS_OWN:
        return False
    return address.is_global and not address.is_reserved and address != _WIRE_SERVER


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # Other spellings of an address (0x7f.1, 2130706433) are looked up as names are.
        return None


def _shown(url: str) -> str:
    """The URL without a password, also where it is none."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('//')[0]}//…@{after}" if at else url


def _plain(host: str) -> str:
    """The host as rules have it."""
    literal = _literal(host)
    if literal is not None:
        return str(literal)
    host = host.lower().rstrip(".")
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host
