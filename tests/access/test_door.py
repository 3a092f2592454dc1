"""The guard on real routes: headers in, envelopes and rate headers out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse

from parley.access.guard import caller_of
from parley.access.headers import RateHeaders
from parley.access.opening import Access, open_access
from parley.api.errors import install_error_handlers
from parley.api.openapi import document_of
from parley.settings import Settings
from parley.store.opening import Store


async def three_pieces() -> AsyncIterator[bytes]:
    for piece in (b"a", b"b", b"c"):
        yield piece


class House:
    """A few routes behind the guard."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.web = FastAPI()
        install_error_handlers(self.web)
        self.web.add_middleware(RateHeaders)
        guard = access.guard

        route = self.web.add_api_route
        route("/speak", self.speak, dependencies=[Depends(guard.require("speech"))])
        route("/figures", self.nothing, dependencies=[Depends(guard.require("metrics"))])
        route("/offer", self.nothing, dependencies=[Depends(guard.require("calls", offer=True))])
        self.web.add_api_websocket_route(
            "/socket", self.greet, dependencies=[Depends(guard.require("calls", query="token"))]
        )

    async def speak(self, request: Request) -> Response:
        headers = {"x-tenant": caller_of(request).tenant}
        return StreamingResponse(three_pieces(), headers=headers)

    async def nothing(self) -> None:
        return

    async def greet(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(caller_of(websocket).tenant)
        await websocket.close()

    async def get(
        self, path: str, *, host: str = "localhost", address: str = "127.0.0.1", **headers: str
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.web, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.get(path, headers=sent)

    async def socket(self, query: str = "", **headers: str) -> list[Mapping[str, Any]]:
        """What a WebSocket gets to see."""
        sent: list[Mapping[str, Any]] = []
        scope = {
            "type": "websocket",
            "path": "/socket",
            "raw_path": b"/socket",
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost")]
            + [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "ws",
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self.web(scope, receive, send)  # type: ignore[arg-type]
        return sent


@asynccontextmanager
async def opened(settings: Settings, store: Store, **changes: Any) -> AsyncGenerator[House]:
    async with open_access(settings.model_copy(update=changes), store) as access:
        yield House(access)


@pytest.fixture
def house(access: Access) -> House:
    return House(access)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "bearer  {}"},
        {"x_api_key": "{}"},
        {"authorization": "Basic xyz", "x_api_key": "{}"},
    ],
)
async def test_a_key_comes_in_the_header(
    access: Access, house: House, headers: dict[str, str]
) -> None:
    made = await access.keys.create("web", tenant="acme")

    answer = await house.get(
        "/speak", **{name: value.format(made.token) for name, value in headers.items()}
    )

    assert (answer.status_code, answer.headers["x-tenant"], answer.text) == (200, "acme", "abc")


async def test_without_a_key_the_answer_is_401_in_openais_envelope(
    access: Access, house: House
) -> None:
    await access.keys.create("web")

    answer = await house.get("/speak")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_key_without_the_scope_gets_403(access: Access, house: House) -> None:
    made = await access.keys.create("web")

    answer = await house.get("/figures", authorization=f"Bearer {made.token}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


async def test_a_key_in_the_url_counts_only_where_the_route_says_so(
    access: Access, house: House
) -> None:
    made = await access.keys.create("web", tenant="acme")

    answer = await house.get(f"/speak?token={made.token}")
    seen = await house.socket(f"token={made.token}")

    assert answer.status_code == 401
    assert seen[1]["text"] == "acme"


async def test_a_browsers_socket_brings_its_key_as_a_subprotocol(
    access: Access, house: House
) -> None:
    made = await access.keys.create("web", tenant="acme")
    protocols = f"realtime, openai-insecure-api-key.{made.token}"

    seen = await house.socket(sec_websocket_protocol=protocols)

    assert seen[1]["text"] == "acme"


async def test_a_socket_without_a_key_is_refused_before_it_opens(
    access: Access, house: House
) -> None:
    await access.keys.create("web")

    seen = await house.socket()

    assert seen[0]["type"] == "websocket.http.response.start"
    assert seen[0]["status"] == 401
    assert b"invalid_api_key" in seen[1]["body"]


@pytest.mark.parametrize(
    ("host", "address", "headers", "status"),
    [
        ("localhost", "127.0.0.1", {}, 200),
        ("127.0.0.1:7860", "127.0.0.1", {"origin": "http://localhost:5173"}, 200),
        ("[::1]:7860", "::1", {}, 200),
        ("evil.example", "127.0.0.1", {}, 401),
        ("localhost", "127.0.0.1", {"origin": "https://evil.example"}, 401),
        ("localhost", "127.0.0.1", {"origin": "null"}, 401),
        ("localhost", "127.0.0.1", {"x_forwarded_for": "203.0.113.9"}, 401),
        ("localhost", "203.0.113.9", {}, 401),
    ],
)
async def test_no_web_site_and_no_proxy_passes_for_this_machine(
    house: House, host: str, address: str, headers: dict[str, str], status: int
) -> None:
    answer = await house.get("/speak", host=host, address=address, **headers)

    assert answer.status_code == status


async def test_every_answer_says_how_the_caller_stands(settings: Settings, store: Store) -> None:
    async with opened(settings, store, rate_requests=2, rate_tokens=100) as house:
        answers = [await house.get("/speak") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    for answer, left in zip(answers, "100", strict=True):
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == left
        assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    assert answers[0].headers["x-ratelimit-limit-tokens"] == "100"
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


async def test_each_key_has_a_minute_of_its_own(settings: Settings, store: Store) -> None:
    async with opened(settings, store, rate_requests=1) as house:
        desk = house.access.keys
        tokens = [(await desk.create(name)).token for name in ("a", "b")]

        answers = [
            await house.get("/speak", authorization=f"Bearer {token}")
            for token in [*tokens, *tokens]
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


async def test_tries_to_call_have_a_limit_of_their_own_but_not_on_this_machine(
    settings: Settings, store: Store
) -> None:
    public = {"server_host": "0.0.0.0", "allow_anonymous": ("web",), "rate_offers": 1}
    async with opened(settings, store, **public) as house:
        near = [await house.get("/offer") for _ in range(3)]
        far = [await house.get("/offer", address="203.0.113.9") for _ in range(2)]
        other = await house.get("/offer", address="203.0.113.10")

    assert [answer.status_code for answer in near] == [200, 200, 200]
    assert [answer.status_code for answer in far] == [200, 429]
    assert other.status_code == 200


async def test_the_openapi_document_says_which_routes_need_a_key(house: House) -> None:
    document = document_of(house.web)

    assert document["paths"]["/speak"]["get"]["security"] == [{"key": ["speech"]}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
