"""Speaks with MCP servers by the official SDK: streamable HTTP, SSE and stdio.

Importing this takes a second or two: ``connection`` does so in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import httpx2
import mcp_types as types
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from parley import __version__
from parley.core.tasks import end
from parley.tools.mcp.bounds import LARGEST_OLD_EVENT_BYTES, Bound, is_excess
from parley.tools.mcp.facts import Declined, Listing, Lost, McpServer, Reply, Tell, TooLarge
from parley.tools.mcp.hints import Hints
from parley.tools.mcp.line import (
    NOT_SENT,
    QUIET_STREAM_S,
    REQUEST_TIMEOUT_S,
    GuardedLine,
    client_on,
)
from parley.tools.mcp.lines import bounded_lines
from parley.tools.mcp.options import Way
from parley.tools.webhook.destinations import Destinations

MOST_PAGES = 20
_BOUNDS: Mapping[Way, Callable[[], Bound]] = {
    "streamable_http": Bound,
    "sse": partial(Bound, LARGEST_OLD_EVENT_BYTES, ends_it=True),
    "stdio": Bound,
}

# What the SDK makes of a connection that fails in the middle.
_LOST_CODES = frozenset({types.CONNECTION_CLOSED, types.INTERNAL_ERROR})
# A server that has restarted doesn't know us any more, and has done nothing. What breaks in the
# middle of its work has other codes, whatever it says.
_FORGOTTEN = re.compile(r"session (not found|terminated|expired|id)", re.IGNORECASE)
_REFUSALS = frozenset({types.INVALID_REQUEST, -32000, -32001})
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
    bound = _BOUNDS[server.way]()
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
        return _reply(await self._unless_exceeded(_asking(asking)))

    async def _unless_exceeded(self, request: Coroutine[Any, Any, Any]) -> Any:
        """The answer, unless one was too large, and it may have been this."""
        asking = asyncio.create_task(request, name="mcp-request")
        exceeded = asyncio.create_task(self._bound.exceeded.wait(), name="mcp-exceeded")
        try:
            await asyncio.wait({asking, exceeded}, return_when=asyncio.FIRST_COMPLETED)
            has_answer = asking.done() and asking.exception() is None
            if exceeded.done() and not has_answer:
                raise TooLarge(self._bound.says, ends_it=self._bound.ends_it)
            return asking.result()
        finally:
            await end(asking, exceeded)


# ── what comes back ──────────────────────────────────────────────────────────────────────────


async def _asking(request: Any) -> Any:
    try:
        return await request
    except MCPError as error:
        if is_excess(error.message):
            raise TooLarge(error.message) from error
        if error.message.startswith(NOT_SENT):
            raise Lost(error.message.removeprefix(NOT_SENT), was_sent=False) from error
        if error.code in _REFUSALS and _FORGOTTEN.search(error.message):
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
                command=server.command,
                args=list(server.args),
                env=dict(server.env),
                encoding=stack.enter_context(bounded_lines(bound)),
                # A byte that is no letter must not end the reading, and with it every use.
                encoding_error_handler="replace",
            ),
            errlog=sys.__stderr__ or sys.stderr,
        )
    uses_tls = server.url.startswith("https:")
    # Loading certificates takes some 30 ms, in which no call would move on.
    line = await anyio.to_thread.run_sync(GuardedLine, destinations, bound, uses_tls)
    make_client = partial(client_on, line, server)
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
