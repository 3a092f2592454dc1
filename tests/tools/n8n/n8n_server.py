"""Stands in for n8n: lists workflows as its REST API does, and runs the published ones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from parley.core.errors import BadSignature
from parley.tools.webhook.signing import verify
from tests.api.openai.written_house import served

API_KEY = "n8n_api_key_of_the_tests"
SECRET = "a secret of both sides"
SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}

Work = Callable[[Mapping[str, Any]], Awaitable[Any]]


async def _agree(envelope: Mapping[str, Any]) -> Any:
    return {"ok": True, "result": {"day": envelope["args"]["day"], "times": ["09:30"]}}


@dataclass
class Workflow:
    """A workflow that begins with a Parley Tool node. ``draft`` is saved and not published."""

    name: str
    work: Work = _agree
    tags: tuple[str, ...] = ("parley-tool",)
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    draft: dict[str, Any] = field(default_factory=dict[str, Any])
    has_our_node: bool = True
    is_published: bool = True

    @property
    def webhook_id(self) -> str:
        return f"hook-{self.name}"

    def _nodes(self, changed: Mapping[str, Any]) -> list[dict[str, Any]]:
        set_on_it = {
            "name": self.name,
            "description": f"Does {self.name}.",
            "parametersSchema": json.dumps(SCHEMA),
            "answer": "lastNode",
            **self.parameters,
            **changed,
        }
        kind = "n8n-nodes-parley.parleyTool" if self.has_our_node else "n8n-nodes-base.webhook"
        return [
            {"type": "n8n-nodes-base.set", "name": "Answer", "parameters": {}},
            {"type": kind, "name": "In", "webhookId": self.webhook_id, "parameters": set_on_it},
        ]

    def listed(self, number: int) -> dict[str, Any]:
        return {
            "id": f"wf{number:04}",
            "name": f"Workflow {self.name}",
            "active": True,
            "nodes": self._nodes(self.draft),
            "activeVersion": {"nodes": self._nodes({})},
        }


class N8n:
    """What the tests set up; ``runs`` are the envelopes that workflows were run with."""

    def __init__(self, *workflows: Workflow, page: int = 100) -> None:
        self.workflows = list(workflows)
        self.runs: list[dict[str, Any]] = []
        self.asked = 0
        self.page = page
        self.answers_instead: Response | None = None

    def app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/api/v1/workflows", self._list)
        app.add_api_route("/webhook/{webhook_id}/tool", self._run, methods=["POST"])
        return app

    async def _list(self, request: Request) -> Response:
        self.asked += 1
        if self.answers_instead is not None:
            return self.answers_instead
        if request.headers.get("X-N8N-API-KEY") != API_KEY:
            return JSONResponse({"message": "unauthorized"}, 401)
        tag = request.query_params["tags"]
        rows = [
            each.listed(number)
            for number, each in enumerate(self.workflows)
            if tag in each.tags and each.is_published
        ]
        start = int(request.query_params.get("cursor", "0"))
        following = start + self.page
        more = str(following) if following < len(rows) else None
        return JSONResponse({"data": rows[start:following], "nextCursor": more})

    async def _run(self, webhook_id: str, request: Request) -> Response:
        found = [each for each in self.workflows if each.webhook_id == webhook_id]
        if not found or not found[0].is_published:
            problem = f'The requested webhook "POST {webhook_id}/tool" is not registered.'
            return JSONResponse({"code": 404, "message": problem}, 404)
        body = await request.body()
        try:
            verify(SECRET, request.headers.get("X-Parley-Signature", ""), body)
        except BadSignature:
            return JSONResponse({"ok": False, "error": {"code": "bad_signature"}}, 401)
        envelope = json.loads(body)
        self.runs.append(envelope)
        try:
            return JSONResponse(await found[0].work(envelope))
        except RuntimeError:
            return JSONResponse({"message": "Error in workflow"}, 500)


@asynccontextmanager
async def running(n8n: N8n) -> AsyncIterator[str]:
    async with served(n8n.app()) as address:
        yield address
