"""Connections that say nothing, or not enough, are closed; those that do are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import pytest
import uvicorn
import websockets
from fastapi import FastAPI, Request, WebSocket

from parley.api.prompt_http import PromptHttp

ASK = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Impatient(PromptHttp):
    head_s = 0.2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def slow(request: Request) -> dict[str, str]:
    """Takes longer than a head may."""
    await a_heads_time(request.scope["server"][1])
    return {"said": "yes"}


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())


@asynccontextmanager
async def serving() -> AsyncGenerator[int]:
    """A server that waits for a head no longer than 0.2 s, by its port."""
    web = FastAPI()
    web.add_api_route("/slow", slow)
    web.add_api_websocket_route("/echo", echo)
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(web, http=Impatient, log_config=None, lifespan="off", access_log=False)
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await running


@asynccontextmanager
async def connection(
    port: int,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def a_heads_time(port: int) -> None:
    """Return when somebody who came just now and said nothing has been cut off."""
    async with connection(port) as (reader, _):
        assert await reader.read() == b""


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer with a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def test_who_says_nothing_is_cut_off() -> None:
    async with serving() as port, connection(port) as (reader, _):
        assert await reader.read() == b""


async def test_who_says_a_part_at_a_time_is_cut_off_before_the_end() -> None:
    async with serving() as port, connection(port) as (reader, writer):
        end = asyncio.ensure_future(reader.read())
        for letter in ASK * 20:
            writer.write(bytes([letter]))
            await asyncio.wait([end], timeout=0.05)
            if end.done():
                break
        assert await end == b""


async def test_who_has_asked_may_wait_for_the_answer_and_ask_again() -> None:
    async with serving() as port, connection(port) as (reader, writer):
        writer.write(ASK)
        first = await answer(reader)
        await a_heads_time(port)
        writer.write(ASK)
        second = await answer(reader)

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


async def test_half_a_second_request_is_cut_off_too() -> None:
    async with serving() as port, connection(port) as (reader, writer):
        writer.write(ASK)
        await answer(reader)
        writer.write(ASK[:20])
        rest = await reader.read()

    assert rest == b""


async def test_a_socket_that_was_opened_stays_open() -> None:
    async with serving() as port, websockets.connect(f"ws://127.0.0.1:{port}/echo") as talk:
        await a_heads_time(port)
        await talk.send("hello")

        assert await talk.recv() == "hello"


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\n\r\n\r\n", b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\nx" * 9000]
)
async def test_what_is_no_http_is_told_so_in_the_envelope(sent: bytes) -> None:
    async with serving() as port, connection(port) as (reader, writer):
        writer.write(sent)
        said = await answer(reader)

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"x-request-id: req_" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
