"""Piper behind a WebSocket, in the two dialects that such services speak."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.engines.servers.piper_http import LOUD, MS_PER_LETTER, wav_file
from tests.engines.servers.web_sockets import WebSocketServer

Dialect = Literal["once", "lasting"]
Fault = Literal[
    "", "error", "error_key", "close_1011", "silent_end", "hang", "garbage", "429", "deaf", "no_end"
]
RATE_HZ = 22_050


class PiperSocketServer(WebSocketServer):
    """``once``: greets, ``type``, one text per connection. ``lasting``: ``status``, many texts.

    With ``waits`` the sound behind the first piece waits for ``go_on``. ``fault`` strikes after
    the first piece. ``has_left`` is set when a connection has ended.
    """

    url_form = "ws://127.0.0.1:{port}/tts"

    def __init__(
        self,
        dialect: Dialect = "once",
        *,
        waits: bool = False,
        sends_wav: bool = False,
        fault: Fault = "",
    ) -> None:
        super().__init__()
        self.dialect = dialect
        self.waits = waits
        self.sends_wav = sends_wav
        self.fault = fault
        self.go_on = asyncio.Event()
        self.has_left = asyncio.Event()
        self.requests: list[dict[str, Any]] = []
        self.connections = 0

    async def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.fault == "deaf":
            await self.is_over.wait()
        return connection.respond(429, "busy\n") if self.fault == "429" else None

    async def talk(self, connection: ServerConnection) -> None:
        self.connections += 1
        try:
            if self.dialect == "once":
                await connection.send('{"type":"connected","message":"hello"}')
            async for message in connection:
                self.requests.append(json.loads(message))
                await self._speak(connection, self.requests[-1]["text"])
                if self.dialect == "once":
                    return
        except ConnectionClosed:
            pass
        finally:
            self.has_left.set()

    async def _speak(self, connection: ServerConnection, text: str) -> None:
        once = self.dialect == "once"
        await connection.send('{"type":"start"}' if once else '{"status":"started"}')
        if self.fault == "silent_end":
            await connection.close(1000)
            return
        pcm = LOUD * (len(text) * MS_PER_LETTER * RATE_HZ // 1000)
        sound = wav_file(pcm) if self.sends_wav else pcm
        for at in range(0, len(sound), 1001):
            await connection.send(sound[at : at + 1001])
            if self.fault and not await self._goes_on(connection):
                return
            if self.waits:
                await self.go_on.wait()
        await connection.send('{"type":"end"}' if once else '{"status":"completed"}')

    async def _goes_on(self, connection: ServerConnection) -> bool:
        if self.fault == "error":
            await connection.send('{"type":"error","message":"The voice is hoarse."}')
        elif self.fault == "error_key":
            await connection.send('{"error":"The voice is hoarse."}')
        elif self.fault == "garbage":
            await connection.send("?")
        elif self.fault == "close_1011":
            await connection.close(1011, "oops")
        elif self.fault == "no_end":
            await connection.close(1000)
        elif self.fault == "hang":
            await self.is_over.wait()
        return False
