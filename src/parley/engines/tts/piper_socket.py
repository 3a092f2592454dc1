"""Piper behind a WebSocket: one JSON request with the text, messages of PCM until the end.

Such services come in two dialects: one connection per text, or one for all; a state in ``type``
or in ``status``; ``start``, ``started`` or ``connected``; ``end``, ``completed`` or ``done``. All
of them are understood. There is no message to cancel, so an interruption drops the connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.remote.sockets import (
    closed_failure,
    drop_socket,
    is_alive,
    open_socket,
    socket_told_plainly,
)
from parley.engines.remote.wav import WavStream
from parley.engines.spec import Status, Voice
from parley.engines.tts.piper_request import ENGINE, PiperRequest

_ENDS = frozenset({"end", "ended", "completed", "complete", "done"})
MOST_IDLE = 4


class PiperSocket:
    """One service. A connection that is still open after a text serves the next one."""

    def __init__(
        self, url: str, *, rate_hz: int, connect_timeout_s: float, answer_timeout_s: float
    ) -> None:
        self._url = url
        self._rate_hz = rate_hz
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._idle: list[ClientConnection] = []

    async def speak(self, request: PiperRequest) -> AsyncGenerator[Audio]:
        """Raises our errors only."""
        asked = json.dumps(request.as_message(self._rate_hz))
        with socket_told_plainly(ENGINE, self._url):
            socket, first = await self._first_answer(asked)
            is_reusable = False
            sound = _Sound(self._rate_hz)
            try:
                message: str | bytes | None = first
                while message is not None and not sound.take_state(message):
                    if audio := sound.take_pcm(message):
                        yield audio
                    message = await self._next(socket, sound)
                is_reusable = message is not None
            finally:
                if is_reusable and len(self._idle) < MOST_IDLE:
                    self._idle.append(socket)
                else:
                    await drop_socket(socket)

    async def status(self) -> Status:
        """Raises our errors when the service can't be reached."""
        socket = await open_socket(ENGINE, self._url, timeout_s=self._connect_timeout_s)
        await drop_socket(socket)
        return Status(True, "Piper behind a WebSocket")

    def voices(self) -> tuple[Voice, ...]:
        """The service has no list."""
        return ()

    async def close(self) -> None:
        while self._idle:
            await drop_socket(self._idle.pop())

    async def _first_answer(self, asked: str) -> tuple[ClientConnection, str | bytes]:
        """Ask, on an idle connection if one answers; it may have been closed unnoticed."""
        while self._idle:
            socket = self._idle.pop()
            try:
                if await is_alive(socket):
                    return socket, await self._answer_to(asked, socket)
            except ConnectionClosed:
                pass
            await drop_socket(socket)
        socket = await open_socket(ENGINE, self._url, timeout_s=self._connect_timeout_s)
        return socket, await self._answer_to(asked, socket)

    async def _answer_to(self, asked: str, socket: ClientConnection) -> str | bytes:
        try:
            await socket.send(asked)
            async with asyncio.timeout(self._answer_timeout_s):
                return await socket.recv()
        except ConnectionClosed:
            raise
        except BaseException:
            await drop_socket(socket)
            raise

    async def _next(self, socket: ClientConnection, sound: _Sound) -> str | bytes | None:
        """The next message; None when the service hung up politely after some sound."""
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                return await socket.recv()
        except ConnectionClosedOK as error:
            if sound.has_any:
                return None
            raise closed_failure(ENGINE, self._url, error) from error


class _Sound:
    """What one text's messages hold."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._torn = b""
        self._wav: WavStream | None = None
        self.has_any = False

    def take_state(self, message: str | bytes) -> bool:
        """Whether the message says that the text has been spoken."""
        if isinstance(message, bytes):
            return False
        said: Any = json.loads(message)
        if not isinstance(said, dict):
            raise ValueError("a message that is no object")
        about = cast("dict[str, Any]", said)
        state = str(about.get("type") or about.get("status") or "").lower()
        if about.get("error") or state == "error":
            why = about.get("error") or about.get("message") or "an error without a word"
            raise EngineFailed(f"Piper says: {why}")
        rate: Any = about.get("sample_rate")
        if isinstance(rate, int) and 8000 <= rate <= 192_000:
            self._rate_hz = rate
        return state in _ENDS

    def take_pcm(self, message: str | bytes) -> Audio | None:
        if isinstance(message, str) or not message:
            return None
        if not self.has_any and message[:4] == b"RIFF":
            self._wav = WavStream(ENGINE)
        self.has_any = True
        if self._wav is not None:
            return self._wav.push(message)
        pcm = self._torn + message
        whole = len(pcm) - len(pcm) % 2
        self._torn = pcm[whole:]
        return Audio(pcm[:whole], self._rate_hz) if whole else None
