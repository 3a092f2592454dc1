"""One MCP server: connected as long as it can be, with the last list of its tools that was good."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, cast

from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.tools.mcp.facts import (
    Listing,
    Lost,
    McpServer,
    OpenSession,
    Reply,
    Session,
    Tell,
    TooLarge,
)
from parley.tools.webhook.destinations import Destinations

log = get_logger(__name__)

OPENING_LIMIT_S = 10.0
REFRESH_S = 60.0
SOONEST_REFRESH_S = 1.0
"""So long a server isn't asked for its list again, however often it says that it has changed."""
SHORTEST_PAUSE_S, FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 0.5, 30.0
BACK_WITHIN_S = 3.0
"""So long a use of a tool waits for a server that is away."""


class Connection:
    """Begins to connect when it is made. ``close`` it at the end."""

    def __init__(
        self,
        server: McpServer,
        destinations: Destinations,
        *,
        back_within_s: float = BACK_WITHIN_S,
    ) -> None:
        self.tools: Sequence[Listing] = ()
        self.is_known = asyncio.Event()
        """Set once the server's tools are known, or once it is known to be away."""
        self._server = server
        self._destinations = destinations
        self._back_within_s = back_within_s
        self._session: Session | None = None
        self._up = asyncio.Event()
        self._poked = asyncio.Event()
        self._lost = asyncio.Event()
        self._keeping = begin(self._keep(), f"mcp:{server.label}")

    async def close(self) -> None:
        await end(self._keeping)

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        meta: Mapping[str, str],
        tell: Tell,
        may_repeat: bool,
    ) -> Reply:
        """Raises ``Lost`` where the server can't be reached, ``Declined`` and ``TooLarge``."""
        try:
            return await self._once(tool, arguments, meta, tell)
        except Lost as error:
            if error.was_sent and not may_repeat:
                raise
        return await self._once(tool, arguments, meta, tell)

    async def _once(
        self, tool: str, arguments: Mapping[str, Any], meta: Mapping[str, str], tell: Tell
    ) -> Reply:
        session = await self._session_soon()
        try:
            return await session.call(tool, arguments, meta, tell)
        except Lost:
            self._lose(session)
            raise
        except TooLarge as error:
            if error.ends_it:
                self._lose(session)
            raise

    async def _session_soon(self) -> Session:
        try:
            async with asyncio.timeout(self._back_within_s):
                while (session := self._session) is None:
                    self._poked.set()
                    await self._up.wait()
        except TimeoutError as error:
            raise Lost("the server is away", was_sent=False) from error
        return session

    def _lose(self, session: Session) -> None:
        if self._session is session:
            self._session = None
            self._up.clear()
            self._lost.set()
            self._poked.set()

    # ── keeping it ───────────────────────────────────────────────────────────────────────────

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._hold()
            except Exception as error:
                # A server is anybody's code, and so is what comes of it in the SDK: it is tried
                # again, and the calls go on.
                if self._up.is_set() or not self.is_known.is_set():
                    log.warning("mcp_server_away", server=self._server.label, reason=_reason(error))
                pause_s = FIRST_PAUSE_S if self._up.is_set() else min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                pause_s = FIRST_PAUSE_S
            finally:
                self._session = None
                self._up.clear()
                self.is_known.set()
            await self._pause(pause_s)

    async def _hold(self) -> None:
        """Connect, and stay so until the connection is lost."""
        open_session = await _load(self._destinations)
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(OPENING_LIMIT_S):
                opening = open_session(self._server, self._poked.set)
                session = await stack.enter_async_context(opening)
                await self._list(session)
            self._session = session
            self._lost.clear()
            self._up.set()
            self.is_known.set()
            log.info("mcp_connected", server=self._server.label, tools=len(self.tools))
            while not self._lost.is_set():
                await _within(REFRESH_S, self._poked)
                # What changes from here on is asked for after the next pause.
                self._poked.clear()
                if not self._lost.is_set():
                    async with asyncio.timeout(OPENING_LIMIT_S):
                        await self._list(session)
                    await _within(SOONEST_REFRESH_S, self._lost)

    async def _list(self, session: Session) -> None:
        found = await session.list_tools()
        if found != list(self.tools):
            self.tools = tuple(found)

    async def _pause(self, pause_s: float) -> None:
        """Before the next attempt. Whoever wants to use the server now shortens it."""
        await asyncio.sleep(min(pause_s, SHORTEST_PAUSE_S))
        await _within(max(0.0, pause_s - SHORTEST_PAUSE_S), self._poked)
        self._poked.clear()


async def _within(time_s: float, event: asyncio.Event) -> None:
    """Wait for the event, but no longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(time_s):
            await event.wait()


async def _load(destinations: Destinations) -> OpenSession:
    """The SDK takes a second or two to import, in which calls must not stand still."""
    wire = await asyncio.to_thread(importlib.import_module, "parley.tools.mcp.wire")
    return cast(OpenSession, partial(wire.open_session, destinations))


def _reason(error: BaseException) -> str:
    """What lies at the bottom of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error.message if isinstance(error, ParleyError) else f"{type(error).__name__}: {error}"
