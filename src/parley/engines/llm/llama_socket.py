"""The WebSocket service before llama.cpp that some telephone systems have.

It takes ``{"messages": […], "stream": true, …}`` and sends ``{"chunk": "…"}`` until
``{"done": true}`` or ``{"error": "…"}``; ``{"rag_context": …}`` may come first. It knows no tools
and no roles but system, user and assistant: tools are explained to the model in words. There is
no message that stops a reply, so stopping one drops the connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from parley.core.errors import EngineFailed
from parley.engines.llm.messages import in_words
from parley.engines.remote.addresses import without_password
from parley.engines.remote.clients import CONNECT_TIMEOUT_S
from parley.engines.remote.sockets import drop_socket, open_socket, socket_told_plainly
from parley.engines.spec import ChatOptions, Delta, Message, Status, ToolSchema

NAME = "The llama.cpp WebSocket service"
# Connections kept open between replies.
_MOST_IDLE = 8


class LlamaSocket:
    """One such service. A connection does one reply at a time and is kept for the next."""

    def __init__(self, url: str, *, timeout_s: float, use_rag: bool | None = None) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._use_rag = use_rag
        self._idle: list[ClientConnection] = []

    async def warm_up(self) -> None:
        """Nothing to do: a connection is made when one is needed."""

    async def check(self) -> Status:
        with socket_told_plainly(NAME, self.url):
            socket = self._idle_one() or await self._open()
            try:
                await (await socket.ping())
            except BaseException:
                await drop_socket(socket)
                raise
            self._keep(socket)
        return Status(True, "answers")

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        request = json.dumps(self._request(messages, tools, options), ensure_ascii=False)
        with socket_told_plainly(NAME, self.url):
            socket, first = await self._ask(request)
            is_whole = False
            try:
                says = self._read(first)
                while not is_whole:
                    text = says.get("chunk")
                    if isinstance(text, str) and text:
                        yield Delta(text=text)
                    is_whole = bool(says.get("done"))
                    if not is_whole:
                        says = self._read(await self._receive(socket))
                yield Delta(finish="stop")
            finally:
                if is_whole:
                    self._keep(socket)
                    await self._drop_surplus()
                else:
                    await drop_socket(socket)

    async def close(self) -> None:
        while self._idle:
            await drop_socket(self._idle.pop())

    def _request(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> dict[str, Any]:
        offered = [
            tool for tool in tools if options.tool_choice in ("", "auto", "required", tool.name)
        ]
        request: dict[str, Any] = {
            "messages": in_words(messages, offered),
            "max_tokens": options.max_tokens,
            "stream": True,
        }
        if options.temperature is not None:
            request["temperature"] = options.temperature
        if self._use_rag is not None:
            request["use_rag"] = self._use_rag
        return request

    async def _ask(self, request: str) -> tuple[ClientConnection, str | bytes]:
        """Send the request; gives the connection and the first message of the answer.

        A connection that was kept may be dead without our knowing, so a new one is tried then.
        """
        while (socket := self._idle_one()) is not None:
            try:
                return socket, await self._first(socket, request)
            except ConnectionClosed:
                continue
        socket = await self._open()
        return socket, await self._first(socket, request)

    async def _first(self, socket: ClientConnection, request: str) -> str | bytes:
        try:
            await socket.send(request)
            return await self._receive(socket)
        except BaseException:
            await drop_socket(socket)
            raise

    async def _receive(self, socket: ClientConnection) -> str | bytes:
        async with asyncio.timeout(self._timeout_s):
            return await socket.recv()

    def _read(self, message: str | bytes) -> dict[str, Any]:
        value: Any = json.loads(message)
        if not isinstance(value, dict):
            raise ValueError("JSON that is no object")
        says = cast("dict[str, Any]", value)
        if says.get("error"):
            reason = " ".join(str(says["error"]).split())[:300]
            raise EngineFailed(f"{NAME} at {without_password(self.url)} failed: {reason}")
        return says

    async def _open(self) -> ClientConnection:
        return await open_socket(NAME, self.url, timeout_s=min(CONNECT_TIMEOUT_S, self._timeout_s))

    def _idle_one(self) -> ClientConnection | None:
        while self._idle:
            socket = self._idle.pop()
            if socket.state is State.OPEN:
                return socket
        return None

    def _keep(self, socket: ClientConnection) -> None:
        self._idle.append(socket)

    async def _drop_surplus(self) -> None:
        while len(self._idle) > _MOST_IDLE:
            await drop_socket(self._idle.pop(0))
