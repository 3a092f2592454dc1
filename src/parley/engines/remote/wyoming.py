"""The Wyoming protocol from the client's side: one TCP connection per request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pydantic import Field
from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Describe, Info

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.remote.addresses import TcpUrls, without_password
from parley.engines.remote.failures import told_plainly
from parley.engines.remote.instances import Instances
from parley.engines.spec import EngineOptions

# The list of all voices of a server can come as one line.
LONGEST_LINE_BYTES = 8 * 1024 * 1024


class WyomingOptions(EngineOptions):
    """What hearing and speaking over Wyoming have in common."""

    uri: TcpUrls | None = Field(None, description="The servers: tcp://HOST:PORT.")
    connect_timeout_s: float = Field(4.0, gt=0, description="How long connecting may take.")
    answer_timeout_s: float = Field(10.0, gt=0, description="How long it may be silent.")
    max_concurrent: int | None = Field(None, ge=1, description="Requests under way at once.")


class WyomingLine:
    """One connection, which says and hears events. Raises our errors, and those of sockets."""

    def __init__(
        self, engine: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._writer = writer

    async def say(self, event: Event) -> None:
        await async_write_event(event, self._writer)

    async def hear(self, timeout_s: float | None) -> Event:
        """The next event. Raises ``TimeoutError`` when none comes in time."""
        try:
            async with asyncio.timeout(timeout_s):
                event = await async_read_event(self._reader)
        except asyncio.IncompleteReadError as error:
            raise EngineUnavailable(f"{self._engine} hung up within a message.") from error
        if event is None and self._reader.at_eof():
            raise EngineUnavailable(f"{self._engine} hung up too early.")
        if event is None:
            raise EngineFailed(f"{self._engine} sent what is no Wyoming event.")
        if Error.is_type(event.type):
            raise EngineFailed(f"{self._engine} says: {event.data.get('text')}")
        return event

    def drop(self) -> None:
        """End the connection now, even if the other side has stopped reading."""
        self._writer.transport.abort()


class WyomingServer:
    """A server's address, and how long to wait for it."""

    def __init__(
        self, engine: str, url: str, connect_timeout_s: float, answer_timeout_s: float
    ) -> None:
        self.engine = engine
        self.url = url
        self.answer_timeout_s = answer_timeout_s
        self._connect_timeout_s = connect_timeout_s
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0

    @asynccontextmanager
    async def line(self) -> AsyncGenerator[WyomingLine]:
        """A connection, dropped at the end. What goes wrong inside is raised as our errors."""
        with told_plainly(self.engine, self.url):
            async with asyncio.timeout(self._connect_timeout_s):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, limit=LONGEST_LINE_BYTES
                )
            line = WyomingLine(self.engine, reader, writer)
            try:
                yield line
            finally:
                line.drop()

    async def describe(self) -> Info:
        """What the server offers."""
        async with self.line() as line:
            await line.say(Describe().event())
            while True:
                event = await line.hear(self.answer_timeout_s)
                if Info.is_type(event.type):
                    return Info.from_event(event)

    async def close(self) -> None:
        """Nothing is kept open between requests."""

    @property
    def where(self) -> str:
        return without_password(self.url)


def wyoming_servers(engine: str, options: WyomingOptions, example: str) -> Instances[WyomingServer]:
    """The servers of the options. Raises ``EngineUnavailable`` without an address; ``example``
    is a setting with one."""
    if options.uri is None:
        raise EngineUnavailable(f"{engine} has no address.", hint=f"Set {example}.")
    return Instances(
        options.uri,
        lambda url: WyomingServer(engine, url, options.connect_timeout_s, options.answer_timeout_s),
        WyomingServer.close,
    )


def is_set_up(options: WyomingOptions) -> bool:
    return options.uri is not None
