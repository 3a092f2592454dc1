"""Every answer has a request id, and every error OpenAI's envelope."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

from parley.api.errors import install_error_handlers
from parley.api.request_id import RequestIds
from parley.core.errors import CallLimitReached, EngineBusy


class Order(BaseModel):
    dish: str
    plates: int = 1


async def order(order: Order) -> dict[str, str]:
    return {"dish": order.dish}


async def full() -> None:
    raise CallLimitReached("Full.", retry_after_s=3)


async def busy() -> None:
    raise EngineBusy("Busy.")


async def surprise() -> None:
    raise ZeroDivisionError("oops")


async def chat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def client() -> httpx.AsyncClient:
    web = FastAPI()
    install_error_handlers(web)
    web.add_middleware(RequestIds)
    web.add_api_route("/v1/order", order, methods=["POST"])
    web.add_api_route("/v1/order/size", order, methods=["POST"])
    web.add_api_route("/v1/{dish}/size", full, methods=["GET"])
    web.add_api_route("/full", full)
    web.add_api_route("/busy", busy)
    web.add_api_route("/surprise", surprise)
    web.add_api_websocket_route("/chat", chat)
    transport = httpx.ASGITransport(web, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://parley")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "param"),
    [
        ("GET", "/nowhere", None, 404, "not_found", None),
        ("GET", "/v1/order", None, 405, "method_not_allowed", None),
        ("POST", "/v1/order", b"{", 400, "bad_request", None),
        ("POST", "/v1/order", b"{}", 400, "missing_required_parameter", "dish"),
        ("POST", "/v1/order", b'{"dish": 1}', 400, "invalid_value", "dish"),
        ("POST", "/v1/order", b'{"dish": "x", "plates": []}', 400, "invalid_value", "plates"),
        ("GET", "/full", None, 503, "call_limit_reached", None),
        ("GET", "/surprise", None, 500, "internal_error", None),
    ],
)
async def test_every_error_is_an_envelope_with_a_request_id(
    method: str, path: str, body: bytes | None, status: int, code: str, param: str | None
) -> None:
    async with client() as http:
        kind = {"content-type": "application/json"}
        answer = await http.request(method, path, content=body, headers=kind)

    error = answer.json()["error"]
    assert answer.status_code == status
    assert (error["code"], error["param"]) == (code, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_wrong_method_is_told_of_every_right_one() -> None:
    async with client() as http:
        answer = await http.put("/v1/order/size")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert "It takes GET, POST." in answer.json()["error"]["message"]


async def test_clients_are_told_what_not_to_try_again() -> None:
    async with client() as http:
        surprise, full = await http.get("/surprise"), await http.get("/full")

    assert surprise.headers["x-should-retry"] == "false"
    assert "x-should-retry" not in full.headers
    assert full.headers["retry-after"] == "3"


async def test_whoever_forgets_v1_is_told_so() -> None:
    async with client() as http:
        answer = await http.post("/audio/speech", json={})

    assert "base URL to http://parley/v1" in answer.json()["error"]["message"]


async def test_what_may_be_had_is_named_where_the_verb_is_wrong() -> None:
    async with client() as http:
        answer = await http.get("/v1/order")

    assert answer.headers["allow"] == "POST"
    assert "It takes POST." in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [("abc-123", True), ("a" * 129, False), ("two words", False), ('x"\t', False)],
)
async def test_a_proxys_request_id_is_kept_when_it_is_one(given: str, is_kept: bool) -> None:
    async with client() as http:
        answer = await http.get("/full", headers={"x-request-id": given})

    assert (answer.headers["x-request-id"] == given) is is_kept


async def test_two_requests_have_two_ids() -> None:
    async with client() as http:
        ids = {(await http.get("/full")).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5
