"""An Ollama: its tags, pulls with progress, deletions, and both chat routes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer
from tests.engines.servers.openai_chat import Refusal, spoken, stream

LAYERS = (("sha256:aa", 1000), ("sha256:bb", 200))


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def said(text: str, **more: Any) -> bytes:
    return line(model="m", message={"role": "assistant", "content": text, **more}, done=False)


def done(reason: str = "stop") -> bytes:
    message = {"role": "assistant", "content": ""}
    return line(message=message, done=True, done_reason=reason, prompt_eval_count=9, eval_count=4)


class OllamaServer(HttpServer):
    """Has ``models`` (name to size). ``replies`` as those of ``OpenAIChatServer``, but native."""

    def __init__(
        self, *replies: list[bytes] | Refusal, models: tuple[str, ...] = ("llama3.2:3b",)
    ) -> None:
        super().__init__()
        self.replies = list(replies) or [[said("Hello "), said("there."), done()]]
        self.models = dict.fromkeys(models, 2_019_393_189)
        self.asked: list[dict[str, Any]] = []
        self.openai_asked: list[dict[str, Any]] = []
        self.loads: list[dict[str, Any]] = []
        self.pulls: list[str] = []
        self.pull_error = ""
        self.has_started = asyncio.Event()
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.may_pull = asyncio.Event()
        self.may_pull.set()

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        routes = {
            ("GET", "/api/tags"): self._tags,
            ("POST", "/api/chat"): self._chat,
            ("POST", "/v1/chat/completions"): self._openai_chat,
            ("POST", "/api/generate"): self._generate,
            ("POST", "/api/pull"): self._pull,
            ("DELETE", "/api/delete"): self._delete,
        }
        route = routes.get((request.method, request.path))
        if route is None:
            await reply.bytes(b"404 page not found", 404)
        else:
            await route(request, reply)

    async def _tags(self, request: HttpRequest, reply: HttpReply) -> None:
        entries = [{"name": n, "model": n, "size": size} for n, size in self.models.items()]
        await reply.json({"models": entries})

    async def _chat(self, request: HttpRequest, reply: HttpReply) -> None:
        body = request.json()
        self.asked.append(body)
        if not self._has(body["model"]):
            await reply.json({"error": f"model '{body['model']}' not found"}, 404)
            return
        answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(answer, Refusal):
            await reply.json({"error": answer.message}, answer.status)
            return
        await stream(reply, answer, "application/x-ndjson", self.has_started)

    async def _openai_chat(self, request: HttpRequest, reply: HttpReply) -> None:
        self.openai_asked.append(request.json())
        await stream(reply, spoken("Hello ", "there."), "text/event-stream", self.has_started)

    async def _generate(self, request: HttpRequest, reply: HttpReply) -> None:
        body = request.json()
        self.loads.append(body)
        if not self._has(body["model"]):
            await reply.json({"error": f"model '{body['model']}' not found"}, 404)
            return
        await self.may_load.wait()
        await reply.json({"model": body["model"], "response": "", "done": True})

    async def _pull(self, request: HttpRequest, reply: HttpReply) -> None:
        name = request.json()["model"]
        self.pulls.append(name)
        await reply.start(200, {"Content-Type": "application/x-ndjson"})
        await reply.piece(line(status="pulling manifest"))
        if self.pull_error:
            await reply.piece(line(error=self.pull_error))
            await reply.end()
            return
        for digest, total in LAYERS:
            says = f"pulling {digest[7:]}"
            await reply.piece(line(status=says, digest=digest, total=total))
            for part in (total // 2, total):
                await reply.piece(line(status=says, digest=digest, total=total, completed=part))
            await self.may_pull.wait()
        await reply.piece(line(status="verifying sha256 digest") + line(status="success"))
        self.models[name if ":" in name else f"{name}:latest"] = sum(t for _, t in LAYERS)
        await reply.end()

    async def _delete(self, request: HttpRequest, reply: HttpReply) -> None:
        name = request.json()["model"]
        if self.models.pop(name, None) is None:
            await reply.json({"error": f"model '{name}' not found"}, 404)
        else:
            await reply.bytes(b"")

    def _has(self, model: str) -> bool:
        return model in self.models or f"{model}:latest" in self.models
