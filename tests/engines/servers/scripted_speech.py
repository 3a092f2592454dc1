"""A server with OpenAI's audio routes that answers what it is told to, whoever's style that is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer


@dataclass(frozen=True)
class Said:
    """One answer; ``pieces`` come one by one."""

    pieces: Sequence[bytes] = ()
    kind: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200) -> Said:
    return Said([json.dumps(value).encode()], status=status)


def as_events(*events: Any) -> Said:
    pieces = [
        f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
        for event in events
    ]
    return Said(pieces, "text/event-stream")


NOT_FOUND = as_json({"error": {"message": "File Not Found", "type": "not_found_error"}}, 404)


class ScriptedSpeechServer(HttpServer):
    """``answers`` by ``METHOD /path``; several for one route are given in turn, the last stays."""

    def __init__(self, answers: Mapping[str, Said | Sequence[Said]]) -> None:
        super().__init__()
        self._answers = {
            route: [said] if isinstance(said, Said) else list(said)
            for route, said in answers.items()
        }
        self.requests: list[HttpRequest] = []

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        self.requests.append(request)
        turns = self._answers.get(f"{request.method} {request.path}", [NOT_FOUND])
        said = turns.pop(0) if len(turns) > 1 else turns[0]
        await reply.start(said.status, {"Content-Type": said.kind, **said.headers})
        for piece in said.pieces:
            await reply.piece(piece)
        await reply.end()
