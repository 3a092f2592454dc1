"""All TCP and TLS connections that are open: found again, bounded, and closed in time."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from contextlib import suppress

from parley.transports.sip.addresses import Carrier, Hop, without_zone
from parley.transports.sip.connection import Connection

# What a peer may take to read our last words; one that reads nothing keeps nobody waiting.
CLOSING_S = 1.0
# Whoever has one address of IPv6 has all of its network.
_V6_NETWORK_BITS = 64


class OpenConnections:
    """Whoever has the most makes room for others: no one host can shut them out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[tuple[Carrier, str, int], Connection] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, connection: Connection) -> bool:
        """Whether there is room for it."""
        if len(self._open) >= self._most and not self._make_room(_network(connection.host)):
            return False
        self._open[_key(connection)] = connection
        self._empty.clear()
        return True

    def _make_room(self, newcomer: str) -> bool:
        """Close the one that has been silent for longest among those of the greediest network. It
        must have more than the newcomer will: the rest is first come, first served."""
        held = Counter(_network(each.host) for each in self._open.values())
        greediest = max(held, key=lambda network: held[network], default=newcomer)
        if held[greediest] <= held[newcomer] + 1:
            return False
        theirs = [each for each in self._open.values() if _network(each.host) == greediest]
        oldest = min(theirs, key=lambda each: each.used_s)
        self.remove(oldest)
        oldest.abort()
        return True

    def remove(self, connection: Connection) -> None:
        if self._open.get(_key(connection)) is connection:
            del self._open[_key(connection)]
        if not self._open:
            self._empty.set()

    def find(self, hop: Hop, host: str) -> Connection | None:
        """The one to ``host``, which ``hop`` names.

        By TLS a name counts that its certificate was checked for, and no other.
        """
        found = self._open.get((hop.carrier, host, hop.port))
        if found is None or not found.is_open:
            return None
        is_proven = hop.carrier != "tls" or hop.host in (host, found.checked_name)
        return found if is_proven else None

    async def close(self) -> None:
        """Return when nothing is open any more."""
        for connection in list(self._open.values()):
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await self._empty.wait()
        for connection in list(self._open.values()):
            connection.abort()


def _key(connection: Connection) -> tuple[Carrier, str, int]:
    return connection.carrier, connection.host, connection.port


def _network(host: str) -> str:
    address = ipaddress.ip_address(without_zone(host))
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _V6_NETWORK_BITS), strict=False))
