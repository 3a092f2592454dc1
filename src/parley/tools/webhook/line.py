"""An HTTP client that connects only to addresses that were checked."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast

import httpcore
import httpx

from parley.tools.webhook.destinations import Destinations

CONNECT_TIMEOUT_S = 1.0
MOST_CONNECTIONS = 200
# Servers next door (Node, uvicorn) close idle connections after 5 s, and a new one costs them
# nothing; with TLS a kept connection saves two round trips.
_PLAIN_IDLE_S, _TLS_IDLE_S = 4.0, 30.0


def trusted_certificates() -> ssl.SSLContext:
    """What TLS goes by (SSL_CERT_FILE names other certificates). Loading it takes 30 ms, most of
    them without Python's lock: where calls are under way, do it in a thread."""
    return httpx.create_ssl_context()


def guarded_client(
    destinations: Destinations,
    *,
    uses_tls: bool = True,
    timeout_s: float | None = 30.0,
    trusted: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """A client that reaches what ``destinations`` allow, follows no redirect, keeps no cookie and
    uses no proxy, which would connect to addresses that nobody has checked.

    What may not be reached raises ``DestinationRefused``. One that ``uses_tls`` loads the
    certificates that are trusted, if it isn't handed them.
    """
    if uses_tls and trusted is None:
        trusted = trusted_certificates()
    return httpx.AsyncClient(
        transport=_GuardedTransport(destinations, trusted),
        timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        follow_redirects=False,
        trust_env=False,
        # What one tenant's call is given must not be sent with another's.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport on a pool that connects through the guard.

    httpx hands its pool no way of connecting; the pool itself takes one.
    """

    def __init__(self, destinations: Destinations, trusted: ssl.SSLContext | None) -> None:
        super().__init__(verify=False, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted or httpx.create_ssl_context(verify=False),
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=_TLS_IDLE_S if trusted else _PLAIN_IDLE_S,
            network_backend=_Guard(destinations),
        )


class _Guard(httpcore.AsyncNetworkBackend):
    """Looks a name up, checks what it leads to, and connects to that."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._network = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async def connect(address: str, within_s: float) -> httpcore.AsyncNetworkStream:
            stream = await self._network.connect_tcp(
                address, port, within_s, local_address, socket_options
            )
            return _still_open(stream, host)

        within_s = CONNECT_TIMEOUT_S if timeout is None else timeout
        failures = (httpcore.ConnectError, httpcore.ConnectTimeout)
        try:
            return await self._destinations.connect(host, port, within_s, connect, failures)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} could not be looked up in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host} is not known: {error}") from error

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("tools are not reached by local sockets")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def _still_open(stream: httpcore.AsyncNetworkStream, host: str) -> httpcore.AsyncNetworkStream:
    """A connection that its other end has dropped already can't be asked anything: httpcore does
    so, and what anyio raises then is no error of the network's."""
    try:
        stream.get_extra_info("ssl_object")
    except AttributeError as error:
        raise httpcore.ConnectError(f"{host} hung up at once") from error
    return stream
