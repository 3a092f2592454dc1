"""A stand-in for the services that tools call: answers exactly as it is told, byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What is sent back. With ``hangs`` nothing is, until the stand-in closes; with ``drops`` the
    connection is closed in its place, or after half of it. ``before`` sees the request first, and
    may give another answer."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    drops: str = ""
    before: Callable[[Received], Awaitable[Answer | None]] | None = None


def says(data: Any, status: int = 200, **more: Any) -> Answer:
    return Answer(status, json.dumps(data).encode(), **more)


def good(result: Any, **more: Any) -> Answer:
    return says({"ok": True, "result": result, **more})


# What n8n really answers, as recorded from version 2.41.
N8N_BROKEN = says({"message": "Error in workflow"}, 500)
N8N_TIMED_OUT = says({"code": 0, "message": "There was a problem executing the workflow"}, 500)
N8N_NEVER_RESPONDED = Answer(200, b"")
N8N_STARTED = says({"message": "Workflow was started"})
N8N_WRONG_KEY = Answer(403, b"Authorization data is wrong!", "text/html; charset=utf-8")
N8N_UNKNOWN_PATH = says(
    {"code": 404, "message": 'The requested webhook "POST x" is not registered.', "hint": "Click"},
    404,
)
N8N_BAD_JSON = says({"code": 422, "message": "Failed to parse request body"}, 422)
N8N_OWN_502 = says({"ok": False, "error": {"code": "calendar_down", "message": "Down."}}, 502)


class StandIn:
    """Serves on a port of this machine. ``answers`` are given one after the other, the last one
    again and again."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = [good({"fine": True})]
        self.connections = 0
        self.gone = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def port(self) -> int:
        assert self._server is not None
        return self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._open[task] = writer
        self.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                self.received.append(request)
                answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
                if not await self._answer(answer, request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            del self._open[task]
            writer.close()

    async def _answer(
        self,
        answer: Answer,
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether the connection goes on."""
        if answer.before is not None:
            answer = await answer.before(request) or answer
        if answer.hangs:
            # Over when the other side goes away.
            await reader.read(1)
            self.gone.set()
            return False
        if answer.drops == "at once":
            return False
        head = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body))}
        lines = [f"HTTP/1.1 {answer.status} X"]
        lines += [f"{name}: {value}" for name, value in (head | answer.headers).items()]
        body = answer.body[: len(answer.body) // 2] if answer.drops else answer.body
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        return not answer.drops


@asynccontextmanager
async def stand_in() -> AsyncGenerator[StandIn]:
    server = StandIn()
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Received(method, parts.path, parse_qs(parts.query), headers, body)
