"""The sockets that SIP comes and goes by: UDP and TCP on one port, TLS on another."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from parley.core.errors import ConnectFailed, ParleyError
from parley.core.log import get_logger
from parley.transports.sip.addresses import USUAL_PORT, Carrier, Hop
from parley.transports.sip.connection import Connection
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
    read their own messages and give them to ``take_message``."""

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
        self._wire: asyncio.DatagramTransport | None = None
        self._connections: dict[tuple[Carrier, str, int], Connection] = {}
        self._opening: dict[Hop, asyncio.Lock] = {}
        self._trust: ssl.SSLContext | None = None
        self.port = options.port
        self.tls_port = 0

    async def open(self) -> None:
        """Bind everything. Raises ``OSError`` where an address can't be had."""
        tls = self._options.tls.for_listening()
        tries = 1 if self._options.port else _TRIES
        for left in reversed(range(tries)):
            try:
                await self._bind()
                break
            except OSError:
                await self.close()
                if not left:
                    raise
        if tls is not None:
            server = await self._serve("tls", self._options.tls_port, ssl=tls, **_HANDSHAKE)
            self.tls_port = server.sockets[0].getsockname()[1]

    async def _bind(self) -> None:
        """UDP and TCP on the same port; a free one of both where any will do."""
        loop = asyncio.get_running_loop()
        server = await self._serve("tcp", self._options.port)
        self.port = server.sockets[0].getsockname()[1]
        wire, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._take_datagram), (self._options.host, self.port)
        )
        self._wire = wire

    async def _serve(self, carrier: Carrier, port: int, **extra: Any) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: self._connection(carrier), self._options.host, port, **extra
        )
        self._servers.append(server)
        return server

    def _connection(self, carrier: Carrier) -> Connection:
        return Connection(
            carrier, self._options, self._take_message, self._connected, self._disconnected
        )

    def _connected(self, connection: Connection) -> bool:
        if len(self._connections) >= self._options.max_connections:
            log.warning("sip_connection_refused", peer=connection.host)
            return False
        self._connections[connection.carrier, connection.host, connection.port] = connection
        return True

    def _disconnected(self, connection: Connection) -> None:
        key = connection.carrier, connection.host, connection.port
        if self._connections.get(key) is connection:
            del self._connections[key]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def reach(self, hop: Hop) -> Flow:
        """A way to that place; connections that are open are used again.

        Raises ``ConnectFailed``.
        """
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                hosts = await self._look_up(hop)
                if hop.carrier == "udp":
                    assert self._wire is not None, "the sockets are closed"
                    return UdpFlow(self._wire, hosts[0], hop.port)
                async with self._opening.setdefault(hop, asyncio.Lock()):
                    return await self._connection_with(hop, hosts)
        except (OSError, TimeoutError) as error:
            raise _unreachable(hop, error) from error
        finally:
            self._opening = {hop: lock for hop, lock in self._opening.items() if lock.locked()}

    async def _look_up(self, hop: Hop) -> list[str]:
        """The addresses of a host, at least one."""
        with suppress(ValueError):
            return [str(ipaddress.ip_address(hop.host))]
        loop = asyncio.get_running_loop()
        family = socket.AF_UNSPEC
        if hop.carrier == "udp" and self._wire is not None:
            family = self._wire.get_extra_info("socket").family
        found = await loop.getaddrinfo(hop.host, hop.port, family=family, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(each[4][0]) for each in found))

    async def _connection_with(self, hop: Hop, hosts: list[str]) -> Connection:
        """The one that is open, or a new one with the first address that takes it."""
        for host in hosts:
            if (found := self._connections.get((hop.carrier, host, hop.port))) is not None:
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
        return connection

    def own_address(self, flow: Flow) -> tuple[str, int]:
        """What the peer at the end of ``flow`` may know us by."""
        port = self.port
        if flow.carrier == "tls":
            # Without a listener of our own, all goes by the connection that we opened.
            port = self.tls_port or USUAL_PORT["tls"]
        if self._options.public_host:
            return self._options.public_host, port
        if self._options.host not in ("0.0.0.0", "::", ""):
            return self._options.host, port
        return _own_host(flow.host), port


def _own_host(peer: str) -> str:
    """The address that the system would send from; asking sends nothing."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((peer, 9))
        except OSError:
            return "::1" if ":" in peer else "127.0.0.1"
        return str(asking.getsockname()[0])


def _unreachable(hop: Hop, error: Exception) -> ParleyError:
    reason = str(error) or "no answer in time"
    return ConnectFailed(
        f"{hop.host}:{hop.port} can't be reached over {hop.carrier.upper()}: {reason}.",
        hint="Check the address, the transport and the firewall in between.",
    )
