"""Speaks with MCP servers by the official SDK: streamable HTTP, SSE and stdio.

Importing this takes a second or two: ``connection`` does so in a thread.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import httpcore2
import httpx2
import mcp_types as types
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from parley import __version__
from parley.tools.mcp.bounds import LARGEST_OLD_EVENT_BYTES, Bound, bounded, is_excess
from parley.tools.mcp.facts import Declined, Listing, Lost, McpServer, Reply, Tell, TooLarge
from parley.tools.mcp.hints import Hints
from parley.tools.webhook.destinations import Destinations

CONNECT_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_S = 30.0
QUIET_STREAM_S = 600.0
MOST_PAGES = 20
_TIMEOUT = httpx2.Timeout(REQUEST_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=QUIET_STREAM_S)

# What the SDK makes of a connection that fails in the middle.
_LOST_CODES = frozenset({types.CONNECTION_CLOSED, types.INTERNAL_ERROR})
# A server that has restarted doesn't know us any more, and has done nothing.
_FORGOTTEN = re.compile(r"session (not found|terminated|expired|id)", re.IGNORECASE)
_NETWORK_ERRORS = (
    OSError,
    httpx2.HTTPError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.EndOfStream,
)


@asynccontextmanager
async def open_session(
    destinations: Destinations, server: McpServer, changed: Callable[[], None]
) -> AsyncGenerator[WireSession]:
    """Raises ``Lost`` while it opens."""
    # What goes wrong comes to us as an error; the SDK would tell of it in pages as well.
    logging.getLogger("mcp.client").setLevel(logging.CRITICAL)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    bound = Bound(LARGEST_OLD_EVENT_BYTES, one_stream=True) if server.way == "sse" else Bound()
    async with AsyncExitStack() as stack:
        read, write = await stack.enter_async_context(_streams(destinations, server, bound))
        session = ClientSession(
            read,
            write,
            message_handler=partial(_take_message, changed),
            client_info=types.Implementation(name="parley", version=__version__),
        )
        await stack.enter_async_context(session)
        await _asking(session.initialize())
        yield WireSession(session, bound)


class WireSession:
    """``facts.Session`` on the SDK's."""

    def __init__(self, session: ClientSession, bound: Bound) -> None:
        self._session = session
        self._bound = bound

    async def list_tools(self) -> list[Listing]:
        found: list[Listing] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            params = types.PaginatedRequestParams(cursor=cursor)
            page = await _asking(self._session.list_tools(params=params))
            found += [_listing(tool) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def call(
        self, tool: str, arguments: Mapping[str, Any], meta: Mapping[str, str], tell: Tell
    ) -> Reply:
        asking = self._session.call_tool(
            tool,
            dict(arguments),
            progress_callback=partial(_tell_progress, tell),
            meta=cast(Any, dict(meta)),
        )
        try:
            return _reply(await _asking(asking))
        except Lost as error:
            if self._bound.has_ended_it:
                raise TooLarge(str(error), ends_it=True) from error
            raise


# ── what comes back ──────────────────────────────────────────────────────────────────────────


async def _asking(request: Any) -> Any:
    try:
        return await request
    except MCPError as error:
        if is_excess(error.message):
            raise TooLarge(error.message) from error
        if _FORGOTTEN.search(error.message):
            raise Lost(error.message, was_sent=False) from error
        if error.code in _LOST_CODES:
            raise Lost(error.message) from error
        raise Declined(error.message) from error
    except _NETWORK_ERRORS as error:
        raise Lost(f"{type(error).__name__}: {error}") from error
    except RuntimeError as error:
        # The SDK's word for answers that don't fit what the server has promised.
        raise Declined(str(error)) from error


async def _take_message(changed: Callable[[], None], message: IncomingMessage) -> None:
    if isinstance(message, types.ToolListChangedNotification):
        changed()


async def _tell_progress(
    tell: Tell, progress: float, total: float | None, message: str | None
) -> None:
    if message:
        await tell(message)


def _listing(tool: types.Tool) -> Listing:
    says = tool.annotations or types.ToolAnnotations()
    return Listing(
        tool.name,
        tool.description or tool.title or "",
        tool.input_schema,
        Hints(says.read_only_hint, says.destructive_hint, says.idempotent_hint),
    )


def _reply(result: types.CallToolResult) -> Reply:
    texts: list[str] = []
    others: list[str] = []
    for block in result.content:
        if isinstance(block, types.TextContent):
            texts.append(block.text)
        elif isinstance(block, types.EmbeddedResource) and isinstance(
            block.resource, types.TextResourceContents
        ):
            texts.append(block.resource.text)
        elif isinstance(block, types.ResourceLink):
            texts.append(f"{block.name}: {block.uri}")
        else:
            others.append("file" if block.type == "resource" else block.type)
    return Reply(result.is_error, result.structured_content, tuple(texts), tuple(others))


# ── connections ──────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _streams(
    destinations: Destinations, server: McpServer, bound: Bound
) -> AsyncGenerator[Any]:
    async with AsyncExitStack() as stack:
        try:
            transport = await _transport(destinations, server, bound, stack)
            streams = await stack.enter_async_context(transport)
        except _NETWORK_ERRORS as error:
            raise Lost(f"{type(error).__name__}: {error}") from error
        yield streams


async def _transport(
    destinations: Destinations, server: McpServer, bound: Bound, stack: AsyncExitStack
) -> Any:
    if server.way == "stdio":
        # Messages of its own go where ours go. What captures sys.stderr has no such file.
        return stdio_client(
            StdioServerParameters(
                command=server.command, args=list(server.args), env=dict(server.env)
            ),
            errlog=sys.__stderr__ or sys.stderr,
        )
    uses_tls = server.url.startswith("https:")
    # Loading certificates takes some 30 ms, in which no call would move on.
    line = await anyio.to_thread.run_sync(_GuardedTransport, destinations, bound, uses_tls)
    make_client = partial(_client, server, line)
    if server.way == "sse":
        return sse_client(
            server.url,
            timeout=REQUEST_TIMEOUT_S,
            sse_read_timeout=QUIET_STREAM_S,
            httpx_client_factory=make_client,
        )
    client = make_client()
    stack.push_async_callback(client.aclose)
    return streamable_http_client(
        server.url, http_client=client, max_sse_event_size=bound.most_bytes
    )


def _client(
    server: McpServer,
    line: _GuardedTransport,
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
) -> httpx2.AsyncClient:
    """Uses that line, and no proxy, which would reach anything."""
    return httpx2.AsyncClient(
        transport=line,
        # A compressed answer may be a thousand times as large as what came.
        headers=dict(server.headers) | {"Accept-Encoding": "identity"},
        timeout=timeout or _TIMEOUT,
        auth=auth,
        trust_env=False,
    )


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport on a pool that connects through the guard, and reads no more than
    the bound allows."""

    def __init__(self, destinations: Destinations, bound: Bound, uses_tls: bool) -> None:
        super().__init__(verify=False, trust_env=False)
        self._bound = bound
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(verify=uses_tls, trust_env=False),
            network_backend=_Guard(destinations),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return bounded(await super().handle_async_request(request), self._bound)


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
