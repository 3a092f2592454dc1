"""The barest client there is: the very bytes that an engine sent, sent again on a plain socket."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWER_LIMIT_S = 10.0
SETTLED_S = 0.01
PIECE_BYTES = 65_536

Answered = Callable[[bytes], object]
"""Whether the first part of an answer is in what has come so far."""
HEAD_ENDED: Answered = re.compile(rb"\r\n\r\n").search


@dataclass(frozen=True)
class Recorded:
    """One request as it went over the wire.

    ``before`` is what its connection needs first: a handshake, say. ``early`` went out while the
    speaker spoke, ``late`` is what the answer waits for. ``connects``: connecting is part of it.
    """

    before: bytes
    early: bytes
    late: bytes
    connects: bool


class Tap:
    """Stands between an engine and its server, and keeps what the engine says until it is
    answered."""

    def __init__(self, server_url: str, answers: Answered) -> None:
        self._answers = answers
        parts = urlsplit(server_url)
        assert parts.port is not None
        self._port = parts.port
        self._scheme = parts.scheme
        self._path = parts.path
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._said: list[bytearray] = []
        self._marked: list[int] = []
        self._late: list[int] = []
        self._is_marked = False
        self._is_over = False

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"{self._scheme}://127.0.0.1:{port}{self._path}"

    async def __aenter__(self) -> Tap:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def mark(self) -> None:
        """A request begins."""
        self._marked = [len(each) for each in self._said]
        self._late = list(self._marked)
        self._is_marked = True

    def mark_late(self) -> None:
        """The speaker has stopped."""
        self._late = [len(each) for each in self._said]

    def recorded(self) -> Recorded:
        """The request since ``mark``: the connection that carried most of it."""
        starts = self._marked + [0] * (len(self._said) - len(self._marked))
        lates = self._late + [0] * (len(self._said) - len(self._late))
        sizes = [len(said) - start for said, start in zip(self._said, starts, strict=True)]
        at = max(range(len(sizes)), key=sizes.__getitem__)
        said, start, late = bytes(self._said[at]), starts[at], lates[at]
        is_socket = _is_handshake(said)
        connects = at >= len(self._marked) and late == 0
        return Recorded(said[:start] if is_socket else b"", said[start:late], said[late:], connects)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        said = bytearray()
        self._said.append(said)
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(self._forth(reader, their_writer, said)),
            asyncio.create_task(self._back(their_reader, writer)),
        ]
        try:
            await asyncio.wait(ways)
        except asyncio.CancelledError:
            return
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._talks.discard(talk)
            for each in (writer, their_writer):
                each.transport.abort()

    async def _forth(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray
    ) -> None:
        while data := await reader.read(PIECE_BYTES):
            if not self._is_over:
                said += data
            writer.write(data)
        writer.write_eof()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = b""
        while data := await reader.read(PIECE_BYTES):
            heard += data
            if self._is_marked and self._answers(heard):
                self._is_over = True
            if not self._is_marked:
                heard = b""
            writer.write(data)
        writer.write_eof()


def _is_handshake(data: bytes) -> bool:
    return data.startswith(b"GET ") and b"upgrade: websocket" in data[:1000].lower()


async def bare_ms(port: int, request: Recorded, has_come: Answered) -> float:
    """Send it again on a connection of its own; the time until the answer has come."""
    line = _Line(port)
    try:
        if not request.connects:
            await line.open()
            await line.say(request.before)
            await line.say(request.early)
            await line.settle()
        started_s = time.perf_counter()
        if request.connects:
            await line.open()
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await line.say(request.late)
            await line.until(has_come)
        return (time.perf_counter() - started_s) * 1000
    finally:
        line.close()


class _Line:
    """A connection of the bare client. A handshake is waited for, as any client must."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._heard = b""

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def say(self, data: bytes) -> None:
        if _is_handshake(data):
            head, end, data = data.partition(b"\r\n\r\n")
            self._writer.write(head + end)
            await self.until(HEAD_ENDED)
        if data:
            self._writer.write(data)

    async def settle(self) -> None:
        """Let the server do what it does before the request; what it says is passed over."""
        try:
            async with asyncio.timeout(SETTLED_S) as limit:
                while data := await self._reader.read(PIECE_BYTES):
                    self._heard += data
                    limit.reschedule(asyncio.get_running_loop().time() + SETTLED_S)
        except TimeoutError:
            self._heard = b""

    async def until(self, has_come: Answered) -> None:
        while not has_come(self._heard):
            data = await self._reader.read(PIECE_BYTES)
            if not data:
                raise EOFError(f"hung up before it answered: {self._heard[-200:]!r}")
            self._heard += data

    def close(self) -> None:
        self._writer.transport.abort()
