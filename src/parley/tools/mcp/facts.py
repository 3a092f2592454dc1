"""What goes between Parley and an MCP server, in plain words: none of the SDK's types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from parley.tools.mcp.hints import NO_HINTS, Hints
from parley.tools.mcp.options import Way


@dataclass(frozen=True, slots=True)
class McpServer:
    """Where a server is, with every secret in its place: who has other secrets has another
    server, and so has who may reach other places. ``label`` is its name in the log; ``owner`` the
    tenant whose file names it."""

    label: str
    way: Way
    url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    hints: Hints = NO_HINTS


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: ``data`` where it has a structured result, texts, and the kinds of
    whatever else was in it."""

    is_error: bool = False
    data: Any = None
    texts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Lost(Exception):
    """The connection is gone, or never came about. ``was_sent``: the request may have arrived."""

    def __init__(self, reason: str, *, was_sent: bool = True) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class Declined(Exception):
    """The server answered that it will not do this."""


class TooLarge(Exception):
    """The server answered more than is read. ``ends_it``: and the connection is over with it."""

    def __init__(self, reason: str, *, ends_it: bool = False) -> None:
        super().__init__(reason)
        self.ends_it = ends_it


Tell = Callable[[str], Awaitable[None]]


class Session(Protocol):
    """An open connection. Its methods raise ``Lost``, ``Declined`` and ``TooLarge``."""

    async def list_tools(self) -> list[Listing]: ...

    async def call(
        self, tool: str, arguments: Mapping[str, Any], meta: Mapping[str, str], tell: Tell
    ) -> Reply: ...


OpenSession = Callable[[McpServer, Callable[[], None]], AbstractAsyncContextManager[Session]]
"""``async with open_session(server, changed) as session``: ``changed()`` is called when the server
says that its list of tools is another."""
