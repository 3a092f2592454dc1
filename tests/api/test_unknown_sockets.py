"""Who knocks at a path without a WebSocket learns that, and where there are some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.types import Message

from parley.api.errors import install_error_handlers
from parley.api.request_id import RequestIds


async def hello(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


async def page() -> str:
    return "page"


def web() -> FastAPI:
    made = FastAPI()
    install_error_handlers(made)
    sockets = APIRouter()
    sockets.add_api_websocket_route("/ws/pcm", hello)
    sockets.add_api_websocket_route("/v1/realtime", hello)
    made.include_router(sockets)
    made.add_api_route("/", page)
    made.add_middleware(RequestIds)
    return made


async def knock(path: str, *, can_answer: bool = True) -> Sequence[Message]:
    """What a server is told to do with a handshake there."""
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        told.append(message)

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "extensions": {"websocket.http.response": {}} if can_answer else {},
    }
    await web()(scope, receive, send)
    return told


@pytest.mark.parametrize("path", ["/ws/rustpbx", "/ws/pcm/", "/", "/v1/realtim", "/../x"])
async def test_an_unknown_path_is_404_and_the_answer_names_those_that_there_are(path: str) -> None:
    beginning, body = await knock(path)

    error = json.loads(body["body"])["error"]
    assert (beginning["status"], error["code"]) == (404, "not_found")
    assert "There is one at /v1/realtime and at /ws/pcm." in error["message"]
    assert b"x-request-id" in dict(beginning["headers"])


async def test_a_long_path_is_not_given_back_whole() -> None:
    _, body = await knock("/" + "x" * 3000)

    assert len(body["body"]) < 1000


async def test_a_known_path_and_a_page_that_is_none_are_as_ever() -> None:
    transport = httpx.ASGITransport(web())
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as http:
        nowhere = await http.get("/nowhere")
    accepted, *_ = await knock("/ws/pcm")

    assert accepted["type"] == "websocket.accept"
    assert nowhere.status_code == 404
    assert "nothing at GET /nowhere" in nowhere.json()["error"]["message"]


async def test_a_page_at_the_path_of_a_socket_is_told_what_it_is() -> None:
    transport = httpx.ASGITransport(web())
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as http:
        answer = await http.get("/ws/pcm")

    assert answer.status_code == 404
    assert "a WebSocket at /ws/pcm" in answer.json()["error"]["message"]


async def test_a_server_that_can_only_close_closes() -> None:
    (only,) = await knock("/nowhere", can_answer=False)

    assert only["type"] == "websocket.close"
