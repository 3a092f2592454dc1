"""Somewhere for events to be sent to: a web server of the test's own on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from parley.api.event_poster import EventPoster
from parley.tools.webhook.destinations import Destinations
from parley.tools.webhook.signing import HEADER, verify

Answer = Callable[[int], int]
"""``answer(number)``: the status of the first, second … request."""


@dataclass
class Mailbox:
    """What has come so far; a request is answered with what ``answers`` says, once ``may_answer``
    is set."""

    answers: Answer = lambda _: 200
    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    async def received(self, number: int) -> None:
        async with self.more:
            await self.more.wait_for(lambda: len(self.requests) >= number)

    def check(self, secret: str) -> None:
        """Raises ``BadSignature`` unless everything was signed with that secret."""
        for headers, body in self.requests:
            verify(secret, headers[HEADER.lower()], body)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:]
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                async with self.more:
                    self.requests.append((headers, body))
                    number = len(self.requests)
                    self.more.notify_all()
                await self.may_answer.wait()
                status = self.answers(number)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def mailbox(
    answers: Answer = lambda _: 200, *, is_slow: bool = False
) -> AsyncIterator[Mailbox]:
    box = Mailbox(answers)
    if not is_slow:
        box.may_answer.set()
    server = await asyncio.start_server(box.take, "127.0.0.1", 0)
    box.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    try:
        yield box
    finally:
        box.may_answer.set()
        server.close()


@asynccontextmanager
async def poster(*allowed: str) -> AsyncIterator[EventPoster]:
    made = EventPoster(Destinations(allowed or ("127.0.0.1",)))
    try:
        yield made
    finally:
        await made.close()
