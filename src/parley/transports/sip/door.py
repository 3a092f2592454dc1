"""Who may call: peers by address, callers by password, and how many in a second."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

from parley.transports.rate import Rate
from parley.transports.sip.digest import Guard
from parley.transports.sip.message import Request
from parley.transports.sip.options import Network, SipOptions


@dataclass(frozen=True, slots=True)
class Pass:
    """Somebody may call. ``is_trusted``: from a listed peer, whose headers can be believed."""

    user: str = ""
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class Turned:
    """Somebody may not, and this is the answer."""

    status: int
    why: str
    headers: tuple[tuple[str, str], ...] = ()


class Door:
    """Decides on each new call; nothing else of a stranger's is served at all."""

    def __init__(self, options: SipOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._guard = (
            Guard(options.users, options.realm, clock, options.digests) if options.users else None
        )
        self._rate = Rate(options.calls_per_s, clock)
        self.registrars: set[str] = set()
        """Addresses of the PBX that we registered with: it may call us."""

    def is_peer(self, host: str) -> bool:
        """Whether the address is on the list, or our registrar's."""
        if host in self.registrars:
            return True
        address = _address(host)
        return any(_holds(network, address) for network in self._options.peers)

    def knows(self, host: str) -> bool:
        """Whether messages from that address get an answer other than 403."""
        return self.is_open or self._guard is not None or self.is_peer(host)

    @property
    def is_open(self) -> bool:
        """Whether anybody may call."""
        return not (self._options.peers or self._guard or self._options.account.registrar)

    def admit(self, request: Request, host: str) -> Pass | Turned:
        """Decide on a new call."""
        is_peer = self.is_peer(host)
        found: Pass | Turned = Pass("", is_peer)
        if not is_peer and self._guard is not None:
            found = self._ask(self._guard, request, host)
        elif not is_peer and not self.is_open:
            found = Turned(403, "this address may not call")
        if isinstance(found, Pass) and not self._rate.take():
            return Turned(503, "too many calls at once", (("Retry-After", "1"),))
        return found

    def _ask(self, guard: Guard, request: Request, host: str) -> Pass | Turned:
        verdict, user = guard.check(request, host)
        if verdict == "right":
            return Pass(user)
        why = {"none": "", "wrong": "wrong name or password", "stale": ""}[verdict]
        return Turned(401, why, tuple(guard.challenges(host, is_stale=verdict == "stale")))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _holds(network: Network, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.version == network.version and address in network
