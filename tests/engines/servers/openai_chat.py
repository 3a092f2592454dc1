"""A chat server in OpenAI's dialect: answers as scripted, notes what it was asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer

DONE = b"data: [DONE]\n\n"


def sse(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def chunk(finish: str | None = None, usage: Any = None, **delta: Any) -> bytes:
    """One chunk of a completion, as bytes of the stream."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return sse({"id": "c", "object": "chat.completion.chunk", "choices": choices, "usage": usage})


def call(arguments: Any, *, index: Any = 0, id: str | None = None, name: str | None = None) -> Any:
    """One fragment of a tool call."""
    given = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in given.items() if value is not None}


def spoken(*texts: str) -> list[bytes]:
    """A whole reply."""
    usage = {"prompt_tokens": 11, "completion_tokens": len(texts)}
    return [
        chunk(role="assistant", content=""),
        *(chunk(content=text) for text in texts),
        chunk(finish="stop"),
        sse({"choices": [], "usage": usage}),
        DONE,
    ]


class Refusal(Exception):
    """An answer with an error status, to be put among the scripted ones."""

    def __init__(self, status: int, message: str = "no", **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


class OpenAIChatServer(HttpServer):
    """``replies`` are given in turn, then the last again: lists of pieces, or ``Refusal``.

    In a list, ``HANG`` stays silent for ever and ``CUT`` breaks the connection.
    """

    HANG = b"hang"
    CUT = b"cut"

    def __init__(self, *replies: list[bytes] | Refusal, models: Any = ("m",)) -> None:
        super().__init__()
        self.replies = list(replies) or [spoken("Hello ", "there.")]
        self.models = models
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.kind = "text/event-stream"
        self.has_started = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        self.headers.append(request.headers)
        if request.path == "/v1/models":
            await self._models(reply)
        elif request.path == "/v1/chat/completions":
            self.asked.append(request.json())
            await self._reply(reply)
        else:
            await reply.json({"error": {"message": f"no route {request.path}"}}, 404)

    async def _models(self, reply: HttpReply) -> None:
        if isinstance(self.models, Refusal):
            await refuse(reply, self.models)
        else:
            await reply.json({"object": "list", "data": [{"id": each} for each in self.models]})

    async def _reply(self, reply: HttpReply) -> None:
        answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(answer, Refusal):
            await refuse(reply, answer)
            return
        await stream(reply, answer, self.kind, self.has_started)


async def refuse(reply: HttpReply, refusal: Refusal) -> None:
    body = {"error": {"message": refusal.message, "type": "invalid_request_error"}}
    await reply.json(body, refusal.status, refusal.headers)


async def stream(
    reply: HttpReply, pieces: list[bytes], kind: str, has_started: asyncio.Event
) -> None:
    await reply.start(200, {"Content-Type": kind})
    for piece in pieces:
        if piece == OpenAIChatServer.CUT:
            reply.cut()
            return
        if piece == OpenAIChatServer.HANG:
            has_started.set()
            await asyncio.Event().wait()
        await reply.piece(piece)
    await reply.end()
