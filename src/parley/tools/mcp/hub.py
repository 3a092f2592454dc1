"""All MCP servers that this process is connected to: one connection each, however many calls."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.tools.mcp.connection import Connection
from parley.tools.mcp.facts import McpServer
from parley.tools.webhook.destinations import Destinations

log = get_logger(__name__)

MOST_CONNECTIONS = 200


class McpHub:
    """A server is connected to when its tools are first asked for. Beyond the limit the one goes
    whose tools nobody has asked for the longest."""

    def __init__(self, *, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._connections: OrderedDict[McpServer, Connection] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def connection(self, server: McpServer, destinations: Destinations) -> Connection:
        """Needs a running loop."""
        held = self._connections.get(server)
        if held is None:
            held = self._connections[server] = Connection(server, destinations)
            if len(self._connections) > self._most:
                self._drop_oldest()
        self._connections.move_to_end(server)
        return held

    async def settled(self, within_s: float) -> None:
        """Wait, but not for long, until every server's tools are known, or that it is away."""
        waits = [held.is_known.wait() for held in self._connections.values()]
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*waits)
        except TimeoutError:
            slow = [
                server.label
                for server, held in self._connections.items()
                if not held.is_known.is_set()
            ]
            log.warning("mcp_slow", servers=slow, limit_s=within_s)

    async def close(self) -> None:
        held, self._connections = self._connections, OrderedDict()
        await asyncio.gather(*(each.close() for each in held.values()))
        await end(*self._closing)

    def _drop_oldest(self) -> None:
        server, oldest = self._connections.popitem(last=False)
        log.info("mcp_dropped", server=server.label)
        closing = begin(oldest.close(), f"mcp-close:{server.label}")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
