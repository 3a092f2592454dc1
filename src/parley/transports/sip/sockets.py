"""The sockets that SIP comes and goes by: UDP and TCP on one port, TLS on another."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from parley.core.errors import ConnectFailed, ParleyError
from parley.core.log import get_logger
from parley.transports.sip.addresses import USUAL_PORT, Carrier, Hop
from parley.transports.sip.connection import Connection
from parley.transports.sip.families import (
    ANYWHERE,
    address_towards,
    listened_at,
    open_datagrams,
    version_of,
)
from parley.transports.sip.open_connections import CLOSING_S, OpenConnections
from parley.transports.sip.options import SipOptions

log = get_logger(__name__)

_TRIES = 20
CONNECT_LIMIT_S = 5.0
_HANDSHAKE: dict[str, Any] = {"ssl_handshake_timeout": CONNECT_LIMIT_S}


class Flow(Protocol):
    """A way to one peer: a UDP address, or a connection."""

    @property
    def carrier(self) -> Carrier: ...

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def is_open(self) -> bool: ...

    @property
    def is_reliable(self) -> bool: ...

    def send(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class UdpFlow:
    """Datagrams to and from one address."""

    wire: asyncio.DatagramTransport
    host: str
    port: int
    carrier: Carrier = "udp"

    @property
    def is_open(self) -> bool:
        return not self.wire.is_closing()

    @property
    def is_reliable(self) -> bool:
        return False

    def send(self, data: bytes) -> None:
        if self.is_open:
            self.wire.sendto(data, (self.host, self.port))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Flow], None]) -> None:
        self._take = take
        self.wire: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.wire = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        assert self.wire is not None
        self._take(data, UdpFlow(self.wire, str(addr[0]), addr[1]))

    def error_received(self, exc: Exception) -> None:
        log.debug("sip_datagram_failed", error=str(exc))


class Sockets:
    """Listens, and opens connections. Every datagram goes to ``take_datagram``; connections
    read their own messages and give them to ``take_message``. Those in ``on_lost`` are told of
    each that is over."""

    def __init__(
        self,
        options: SipOptions,
        take_datagram: Callable[[bytes, Flow], None],
        take_message: Callable[[Any, Flow], None],
    ) -> None:
        self._options = options
        self._take_datagram = take_datagram
        self._take_message = take_message
        self._servers: list[asyncio.Server] = []
        self._wires: dict[str, asyncio.DatagramTransport] = {}
        self._connections = OpenConnections(options.max_connections)
        self._opening: dict[Hop, asyncio.Lock] = {}
        self._trust: ssl.SSLContext | None = None
        self.on_lost: list[Callable[[Flow], None]] = []
        self.port = options.port
        self.tls_port = 0

    async def open(self) -> None:
        """Bind everything. Raises ``OSError`` where an address can't be had, and ``BadSettings``
        where a certificate can't be used."""
        tls = self._options.tls.for_listening()
        if self._options.tls.authorities is not None:
            self._trust = self._options.tls.for_calling()
        hosts = await listened_at(self._options.host)
        tries = 1 if self._options.port else _TRIES
        for left in reversed(range(tries)):
            try:
                await self._bind(hosts)
                break
            except OSError:
                await self.close()
                if not left:
                    raise
        if tls is not None:
            extra = {"ssl": tls, **_HANDSHAKE}
            self.tls_port = await self._serve("tls", hosts, self._options.tls_port, **extra)

    async def _bind(self, hosts: Sequence[str]) -> None:
        """UDP and TCP on the same port everywhere; one that is free where any will do."""
        loop = asyncio.get_running_loop()
        self.port = await self._serve("tcp", hosts, self._options.port)
        for host in hosts:
            self._wires[host], _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._take_datagram), sock=open_datagrams(host, self.port)
            )

    async def _serve(self, carrier: Carrier, hosts: Sequence[str], port: int, **extra: Any) -> int:
        loop = asyncio.get_running_loop()
        for host in hosts:
            server = await loop.create_server(
                lambda: self._connection(carrier), host, port, **extra
            )
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
        return port

    def _connection(self, carrier: Carrier) -> Connection:
        return Connection(
            carrier, self._options, self._take_message, self._connected, self._disconnected
        )

    def _connected(self, connection: Connection) -> bool:
        has_room = self._connections.add(connection)
        if not has_room:
            log.warning("sip_connection_refused", peer=connection.host)
        return has_room

    def _disconnected(self, connection: Connection) -> None:
        self._connections.remove(connection)
        for tell in self.on_lost:
            tell(connection)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        await self._connections.close()
        # From Python 3.12 on servers wait for those who haven't even finished their handshake.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                for server in self._servers:
                    await server.wait_closed()
        self._servers.clear()
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()

    async def reach(self, hop: Hop) -> Flow:
        """A way to that place; connections that are open are used again.

        Raises ``ConnectFailed``.
        """
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                hosts = await self._look_up(hop)
                if hop.carrier == "udp":
                    return UdpFlow(self._wire_to(hosts[0]), hosts[0], hop.port)
                async with self._opening.setdefault(hop, asyncio.Lock()):
                    return await self._connection_with(hop, hosts)
        except (OSError, TimeoutError, UnicodeError) as error:
            # The last is what Python says of names that can be nobody's: "a..b".
            raise _unreachable(hop, error) from error
        finally:
            self._opening = {hop: lock for hop, lock in self._opening.items() if lock.locked()}

    async def _look_up(self, hop: Hop) -> list[str]:
        """The addresses of a host that we have a family in common with, at least one. Raises
        ``ConnectFailed``."""
        hosts = [hop.host]
        if version_of(hop.host) is None:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
            hosts = list(dict.fromkeys(str(each[4][0]) for each in found))
        versions = {version_of(own) for own in self._wires}
        within_reach = [host for host in hosts if version_of(host) in versions]
        if not within_reach:
            raise ConnectFailed(
                f"{hop.host} has no address that can be reached from {self._options.host}.",
                hint="PARLEY_SIP_HOST=:: listens, and calls, in IPv4 and in IPv6.",
            )
        return within_reach

    def _wire_to(self, host: str) -> asyncio.DatagramTransport:
        version = version_of(host)
        return next(wire for own, wire in self._wires.items() if version_of(own) == version)

    async def _connection_with(self, hop: Hop, hosts: list[str]) -> Connection:
        """The one that is open, or a new one with the first address that takes it."""
        for host in hosts:
            if (found := self._connections.find(hop, host)) is not None:
                return found
        for host in hosts[:-1]:
            with suppress(OSError):
                return await self._connect(hop, host)
        return await self._connect(hop, hosts[-1])

    async def _connect(self, hop: Hop, host: str) -> Connection:
        loop = asyncio.get_running_loop()
        extra: dict[str, Any] = {}
        if hop.carrier == "tls":
            # Reading what the system trusts takes tens of milliseconds.
            self._trust = self._trust or self._options.tls.for_calling()
            extra = {**_HANDSHAKE, "ssl": self._trust, "server_hostname": hop.host}
        _, connection = await loop.create_connection(
            lambda: self._connection(hop.carrier), host, hop.port, **extra
        )
        if not connection.is_open:
            raise ConnectionError("there are too many connections")
        connection.checked_name = hop.host if hop.carrier == "tls" else ""
        return connection

    def own_address(self, flow: Flow) -> tuple[str, int]:
        """What the peer at the end of ``flow`` may know us by."""
        port = self.port
        if flow.carrier == "tls":
            # Without a listener of our own, all goes by the connection that we opened.
            port = self.tls_port or USUAL_PORT["tls"]
        for host in (self._options.public_host, self._options.host):
            # An address of the other family is of no use to the peer.
            if host not in ANYWHERE and version_of(host) in (None, version_of(flow.host)):
                return host, port
        loopback = "::1" if version_of(flow.host) == 6 else "127.0.0.1"
        return address_towards(flow.host) or loopback, port


def _unreachable(hop: Hop, error: Exception) -> ParleyError:
    reason = str(error) or "no answer in time"
    return ConnectFailed(
        f"{hop.host}:{hop.port} can't be reached over {hop.carrier.upper()}: {reason}.",
        hint="Check the address, the transport and the firewall in between.",
    )
