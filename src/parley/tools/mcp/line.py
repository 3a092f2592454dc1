"""The HTTP line to an MCP server: it connects only to addresses that were checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import httpcore2
import httpx2
import mcp_types as types

from parley.tools.mcp.bounds import Bound, bounded
from parley.tools.mcp.facts import McpServer
from parley.tools.webhook.destinations import Destinations

CONNECT_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_S = 30.0
QUIET_STREAM_S = 600.0
TIMEOUT = httpx2.Timeout(REQUEST_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=QUIET_STREAM_S)
NOT_SENT = "not sent: "
"""How an error's message begins where the request never left us."""

_NO_CONNECTION = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def client_on(
    line: GuardedLine,
    server: McpServer,
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
) -> httpx2.AsyncClient:
    """Uses that line, and no proxy, which would reach anything."""
    return httpx2.AsyncClient(
        transport=line,
        # A compressed answer may be a thousand times as large as what came.
        headers=dict(server.headers) | {"Accept-Encoding": "identity"},
        timeout=timeout or TIMEOUT,
        auth=auth,
        trust_env=False,
    )


class GuardedLine(httpx2.AsyncHTTPTransport):
    """httpx2's own transport on a pool that connects through the guard, and reads no more than
    the bound allows.

    To the SDK a request that could not be sent is the end of the connection, with all that is
    under way on it; here it is an error of that request.
    """

    def __init__(self, destinations: Destinations, bound: Bound, uses_tls: bool) -> None:
        super().__init__(verify=False, trust_env=False)
        self._bound = bound
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(verify=uses_tls, trust_env=False),
            network_backend=_Guard(destinations),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await super().handle_async_request(request)
        except _NO_CONNECTION as error:
            # By sse an answer comes on another request than its question went out on.
            if self._bound.ends_it or request.method != "POST":
                raise
            return _unsent(error)
        return bounded(response, self._bound)


def _unsent(error: Exception) -> httpx2.Response:
    """As a server would answer that has done nothing."""
    says = f"{NOT_SENT}{type(error).__name__}: {error}"
    problem = {"code": types.INVALID_REQUEST, "message": says}
    return httpx2.Response(503, json={"jsonrpc": "2.0", "id": None, "error": problem})


class _Guard(httpcore2.AsyncNetworkBackend):
    """Looks a name up, checks what it leads to, and connects to that."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._network = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        async def connect(address: str, within_s: float) -> httpcore2.AsyncNetworkStream:
            return await self._network.connect_tcp(
                address, port, within_s, local_address, socket_options
            )

        within_s = CONNECT_TIMEOUT_S if timeout is None else timeout
        failures = (httpcore2.ConnectError, httpcore2.ConnectTimeout)
        try:
            return await self._destinations.connect(host, port, within_s, connect, failures)
        except (TimeoutError, OSError) as error:
            raise httpcore2.ConnectError(f"{host} can't be reached: {error}") from error

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
