"""llama.cpp's server (health, props, chat), and the WebSocket service that may stand before it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.engines.servers.http import HttpReply, HttpRequest
from tests.engines.servers.openai_chat import OpenAIChatServer, Refusal


class LlamaCppServer(OpenAIChatServer):
    """An OpenAI-like server with slots. While ``is_loading`` it refuses everything with 503."""

    def __init__(self, *replies: list[bytes] | Refusal, slots: int = 2) -> None:
        super().__init__(*replies)
        self.slots = slots
        self.is_loading = False

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        if self.is_loading:
            error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
            await reply.json({"error": error}, 503)
        elif request.path == "/health":
            await reply.json({"status": "ok"})
        elif request.path == "/props":
            await reply.json({"total_slots": self.slots, "model_path": "m.gguf"})
        else:
            await super().answer(request, reply)


class LlamaSocketServer:
    """Answers each request with ``replies`` in turn; the last is repeated.

    A reply is a list of messages to send: dicts as JSON, text as it is; ``HANG`` waits for ever
    and ``CUT`` breaks the connection.
    """

    HANG = "hang"
    CUT = "cut"

    def __init__(self, *replies: list[Any]) -> None:
        self.replies = list(replies) or [[{"chunk": "Hello "}, {"chunk": "there."}, {"done": True}]]
        self.asked: list[dict[str, Any]] = []
        self.connections = 0
        self.live: set[ServerConnection] = set()
        self.has_started = asyncio.Event()
        self.has_gone = asyncio.Event()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> LlamaSocketServer:
        self._server = await serve(self._talk, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, socket: ServerConnection) -> None:
        self.connections += 1
        self.live.add(socket)
        try:
            async for message in socket:
                self.asked.append(json.loads(message))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                await self._reply(socket, reply)
        except ConnectionClosed:
            return
        finally:
            self.live.discard(socket)
            self.has_gone.set()

    async def _reply(self, socket: ServerConnection, reply: list[Any]) -> None:
        for message in reply:
            if message == self.HANG:
                self.has_started.set()
                await socket.wait_closed()
            elif message == self.CUT:
                socket.transport.abort()
                return
            else:
                await socket.send(message if isinstance(message, str) else json.dumps(message))
