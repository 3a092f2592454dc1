"""What the test servers that speak over a WebSocket have in common: a port, and a sudden end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response


class WebSocketServer(ABC):
    """Listens on loopback while it is entered; leaving drops whoever is connected.

    Entered once more it has the same port. ``is_over`` is set at the end, for faults that wait.
    """

    url_form: ClassVar[str] = "ws://127.0.0.1:{port}"
    max_queue: ClassVar[int | None] = 16

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self._listening: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return self.url_form.format(port=self._port)

    @abstractmethod
    async def talk(self, connection: ServerConnection) -> None:
        """One connection, from its handshake to its end."""

    @abstractmethod
    async def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        """What is answered in place of a handshake; None for a handshake."""

    async def __aenter__(self) -> Self:
        self.is_over.clear()
        self._listening = await serve(
            self.talk,
            "127.0.0.1",
            self._port,
            process_request=self.receive,
            close_timeout=1,
            max_queue=self.max_queue,
        )
        self._port = next(iter(self._listening.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self.is_over.set()
        self._listening.close()
        for connection in list(self._listening.connections):
            connection.transport.abort()
        await self._listening.wait_closed()
