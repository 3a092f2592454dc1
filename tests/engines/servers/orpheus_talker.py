"""Servers that have Orpheus's talker: vLLM, llama.cpp and Ollama, each with its own protocol.

They don't think: they play token ids that the test gives, or random whole frames.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from parley.engines.tts.orpheus.codes import END_OF_SPEECH, FIRST_CUSTOM, token_id
from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer

MODEL = "canopylabs/orpheus-3b-0.1-ft"


def random_frames(frames: int, seed: int = 1) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Codes of shape (frames, 7)."""
    return np.random.default_rng(seed).integers(0, 4096, (frames, 7))


def ids_of(codes: Any) -> list[int]:
    return [token_id(slot, int(code)) for frame in codes for slot, code in enumerate(frame)]


def text_of(ids: Sequence[int]) -> str:
    """As a server writes them that shows special tokens; the prompt's words are ``w…``."""
    return "".join(f"<custom_token_{i - FIRST_CUSTOM}>" if i >= FIRST_CUSTOM else " w" for i in ids)


@dataclass
class Playing:
    """What a talker plays and how it misbehaves.

    ``ids`` beats ``frames`` random ones; ``in_turn`` beats both, one list per request. Text goes
    out in pieces of ``characters`` where that isn't 0. It stalls, cuts the connection or fails in
    the stream after so many tokens.
    """

    frames: int = 20
    ids: Sequence[int] | None = None
    in_turn: list[Sequence[int]] = field(default_factory=list[Sequence[int]])
    per_chunk: int = 1
    chunk_every_ms: float = 0
    characters: int = 0
    tells_ids: bool = True
    ends: bool = True
    chats: bool = False
    status: int = 0
    retry_after: str = ""
    stalls_after: int | None = None
    cuts_after: int | None = None
    fails_after: int | None = None


class TalkerServer(HttpServer):
    """Counts requests that are being answered (``busy``), at most at once (``busiest``); keeps
    all it was asked."""

    route: ClassVar[str]

    def __init__(self, playing: Playing | None = None) -> None:
        super().__init__()
        self.playing = playing or Playing()
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.busy = 0
        self.busiest = 0
        self.idle = asyncio.Event()
        self._came = asyncio.Condition()

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        self.paths.append(request.path)
        body = request.json() if request.body else {}
        if request.path != self.route:
            await self.other(request, body, reply)
            return
        self.asked.append(body)
        playing = self.playing
        if playing.status:
            says = {"error": {"message": "The talker can't now."}}
            headers = {"Retry-After": playing.retry_after} if playing.retry_after else {}
            await reply.json(says, playing.status, headers)
            return
        self.busy += 1
        self.idle.clear()
        self.busiest = max(self.busy, self.busiest)
        async with self._came:
            self._came.notify_all()
        try:
            await self._play(body, reply)
        finally:
            self.busy -= 1
            if not self.busy:
                self.idle.set()

    async def busy_with(self, requests: int) -> None:
        """Wait until so many requests are being answered at once."""
        async with self._came:
            await self._came.wait_for(lambda: self.busy >= requests)

    async def other(self, request: HttpRequest, body: Any, reply: HttpReply) -> None:
        await reply.json({"error": "no such route"}, 404)

    def begin(self) -> dict[str, str]:
        return {"Content-Type": "text/event-stream"}

    def piece(self, ids: Sequence[int], text: str) -> bytes:
        raise NotImplementedError

    def end(self, finish: str) -> bytes:
        raise NotImplementedError

    async def _play(self, body: dict[str, Any], reply: HttpReply) -> None:
        playing = self.playing
        await reply.start(200, self.begin())
        finish = "stop"
        sent = 0
        for ids, text in self._pieces(self._limit(body)):
            if playing.stalls_after is not None and sent >= playing.stalls_after:
                await asyncio.Event().wait()
            if playing.cuts_after is not None and sent >= playing.cuts_after:
                reply.cut()
                return
            if playing.fails_after is not None and sent >= playing.fails_after:
                await reply.piece(b'data: {"error": {"message": "out of memory"}}\n\n')
                await reply.end()
                return
            if playing.chunk_every_ms:
                await asyncio.sleep(playing.chunk_every_ms / 1000)
            await reply.piece(self.piece(ids, text))
            sent += len(ids)
            if sent % 700 == 0:
                await asyncio.sleep(0)
        if not playing.ends:
            finish = "length"
        await reply.piece(self.end(finish))
        await reply.end()

    def _pieces(self, limit: int) -> Iterator[tuple[Sequence[int], str]]:
        playing = self.playing
        if playing.chats:
            yield from ((range(900, 905), "Certainly! I can ") for _ in range(min(limit, 60) // 5))
            return
        ids = self._ids()[:limit]
        if playing.characters:
            text = text_of(ids)
            for at in range(0, len(text), playing.characters):
                yield [], text[at : at + playing.characters]
            return
        for at in range(0, len(ids), playing.per_chunk):
            chunk = ids[at : at + playing.per_chunk]
            yield chunk, text_of(chunk)

    def _ids(self) -> list[int]:
        playing = self.playing
        if playing.in_turn:
            ids = list(playing.in_turn.pop(0))
        elif playing.ids is not None:
            ids = list(playing.ids)
        else:
            ids = ids_of(random_frames(playing.frames))
        return [*ids, END_OF_SPEECH] if playing.ends else ids

    def _limit(self, body: dict[str, Any]) -> int:
        raise NotImplementedError


class VllmServer(TalkerServer):
    """``/v1/completions`` with ``return_token_ids``, ``/tokenize``, ``/v1/models``."""

    route = "/v1/completions"
    models: tuple[str, ...] = (MODEL, "my-adapter")

    async def other(self, request: HttpRequest, body: Any, reply: HttpReply) -> None:
        if request.path == "/tokenize":
            assert body["add_special_tokens"] is False
            await reply.json({"tokens": [1000 + ord(c) for c in body["prompt"]], "count": 1})
        elif request.path == "/v1/models":
            await reply.json({"object": "list", "data": [{"id": each} for each in self.models]})
        else:
            await super().other(request, body, reply)

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        if request.path == self.route and request.json()["model"] not in self.models:
            name = request.json()["model"]
            says = {"message": f"The model `{name}` does not exist.", "code": 404}
            await reply.json({"error": says}, 404)
            return
        await super().answer(request, reply)

    def piece(self, ids: Sequence[int], text: str) -> bytes:
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": None}
        if self.playing.tells_ids and not self.playing.characters:
            choice["token_ids"] = list(ids)
        return _event({"choices": [choice]})

    def end(self, finish: str) -> bytes:
        choice = {"index": 0, "text": "", "finish_reason": finish, "stop_reason": END_OF_SPEECH}
        return _event({"choices": [choice]}) + b"data: [DONE]\n\n"

    def _limit(self, body: dict[str, Any]) -> int:
        return int(body["max_tokens"])


class LlamaCppServer(TalkerServer):
    """The native ``/completion`` with ``return_tokens``, ``/tokenize``, ``/health``."""

    route = "/completion"

    async def other(self, request: HttpRequest, body: Any, reply: HttpReply) -> None:
        if request.path == "/tokenize":
            assert (body["add_special"], body["parse_special"]) == (False, False)
            await reply.json({"tokens": [1000 + ord(c) for c in body["content"]]})
        elif request.path == "/health":
            await reply.json({"status": "ok"})
        else:
            await super().other(request, body, reply)

    def piece(self, ids: Sequence[int], text: str) -> bytes:
        tells = self.playing.tells_ids and not self.playing.characters
        told = {"tokens": list(ids)} if tells else {}
        return _event({"index": 0, "content": text, **told, "stop": False})

    def end(self, finish: str) -> bytes:
        stop_type = "limit" if finish == "length" else "eos"
        return _event({"content": "", "tokens": [], "stop": True, "stop_type": stop_type})

    def _limit(self, body: dict[str, Any]) -> int:
        return int(body["n_predict"])


class OllamaServer(TalkerServer):
    """``/api/generate`` in raw mode, one JSON object a line, text only."""

    route = "/api/generate"
    models: tuple[str, ...] = ("orpheus",)

    async def other(self, request: HttpRequest, body: Any, reply: HttpReply) -> None:
        if request.path == "/api/version":
            await reply.json({"version": "0.12.0"})
        else:
            await super().other(request, body, reply)

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        if request.path == self.route and request.json()["model"] not in self.models:
            await reply.json({"error": f"model '{request.json()['model']}' not found"}, 404)
            return
        await super().answer(request, reply)

    def begin(self) -> dict[str, str]:
        return {"Content-Type": "application/x-ndjson"}

    def piece(self, ids: Sequence[int], text: str) -> bytes:
        return _line({"model": "orpheus", "response": text, "done": False})

    def end(self, finish: str) -> bytes:
        return _line({"model": "orpheus", "response": "", "done": True, "done_reason": finish})

    def _limit(self, body: dict[str, Any]) -> int:
        return int(body["options"]["num_predict"])


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _line(data: dict[str, Any]) -> bytes:
    return f"{json.dumps(data)}\n".encode()
