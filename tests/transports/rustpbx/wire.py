"""A WebSocket as RustPBX's library speaks it: control frames surface among the messages, and an
end of the connection is often nothing but the end of TCP."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Literal

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024
LARGEST_FRAME_BYTES = 16 * 1024 * 1024
HANDSHAKE_LIMIT_S = 30.0

Kind = Literal["text", "binary", "ping", "pong", "close"]
_KINDS: dict[Opcode, Kind] = {
    Opcode.TEXT: "text",
    Opcode.BINARY: "binary",
    Opcode.PING: "ping",
    Opcode.PONG: "pong",
    Opcode.CLOSE: "close",
}


@dataclass(frozen=True)
class Arrived:
    """Whatever came; of a close ``code`` is its number."""

    kind: Kind
    data: bytes
    code: int = 0


class Refused(AssertionError):
    """The handshake was answered in a way that the client turns away from."""

    def __init__(self, message: str, status: int = 0, body: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Wire:
    """One connection. ``open`` is the handshake; ``next`` waits for whatever comes first.

    Whoever reads or writes holds the ``mutex``: it is fair, as Tokio's is.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.answer: Response | None = None
        self.mutex = asyncio.Lock()
        self._protocol = protocol
        self._reader = reader
        self._writer = writer
        self._arrived: deque[Arrived] = deque()
        self._parts: list[Frame] = []
        self._is_over = False

    @classmethod
    async def open(cls, url: str) -> Wire:
        """Connect as ``connect_async(url)`` does: no header that isn't the handshake's own."""
        uri = parse_uri(url)
        protocol = ClientProtocol(uri, max_size=(LARGEST_MESSAGE_BYTES, LARGEST_FRAME_BYTES))
        reader, writer = await asyncio.open_connection(uri.host, uri.port)
        wire = cls(protocol, reader, writer)
        try:
            async with asyncio.timeout(HANDSHAKE_LIMIT_S):
                await wire._shake_hands()
        except BaseException:
            wire.drop()
            raise
        return wire

    async def _shake_hands(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while self.answer is None:
            await self._read()
            if self._is_over:
                raise Refused("The server has closed the connection.")
        answer = self.answer
        if isinstance(self._protocol.handshake_exc, InvalidHandshake):
            body = (answer.body or b"").decode(errors="replace")
            raise Refused(f"{answer.status_code}: {body}", answer.status_code, body)
        if answer.headers.get("connection", "").lower() != "upgrade":
            raise Refused(f"Connection: {answer.headers.get('connection')!r}")
        for name in ("sec-websocket-protocol", "sec-websocket-extensions"):
            if name in answer.headers:
                raise Refused(f"{name} came unasked: {answer.headers[name]!r}")

    async def next(self) -> Arrived | None:
        """The next message or control frame; None once the connection is over."""
        while not self._arrived:
            if self._is_over:
                return None
            await self._read()
        return self._arrived.popleft()

    async def send_text(self, text: str) -> None:
        self._protocol.send_text(text.encode())
        await self._sent()

    async def send_binary(self, data: bytes) -> None:
        self._protocol.send_binary(data)
        await self._sent()

    async def send_raw(self, data: bytes) -> None:
        """Bytes as they are, a frame or not."""
        self._writer.write(data)
        await self._writer.drain()

    async def pong(self, data: bytes) -> None:
        self._protocol.send_pong(data)
        await self._sent()

    def drop(self) -> None:
        """End it without a word: the server sees 1006."""
        self._is_over = True
        self._writer.transport.abort()

    async def _sent(self) -> None:
        if self._is_over:
            raise ConnectionResetError
        self._flush()
        await self._writer.drain()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)

    async def _read(self) -> None:
        try:
            data = await self._reader.read(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._is_over = True
            if self.answer is None:
                return
            self._protocol.receive_eof()
        else:
            self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Response):
                self.answer = event
        if not self._is_over:
            self._flush()

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            self._arrived.append(Arrived(_KINDS[frame.opcode], bytes(frame.data)))
        elif frame.opcode is Opcode.CLOSE:
            code = int.from_bytes(frame.data[:2], "big") if len(frame.data) >= 2 else 1005
            self._arrived.append(Arrived("close", bytes(frame.data[2:]), code))
        else:
            self._parts.append(frame)
            if frame.fin:
                data = b"".join(bytes(part.data) for part in self._parts)
                self._arrived.append(Arrived(_KINDS[self._parts[0].opcode], data))
                self._parts.clear()
