"""Pages of other sites: who may call, what they may send and read, and what they never get."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from parley.access.headers import RateHeaders
from parley.access.opening import Access, open_access
from parley.access.origins import Origins
from parley.api.cors import Cors
from parley.api.errors import install_error_handlers
from parley.api.request_id import RequestIds
from parley.settings import Settings
from parley.store.opening import open_store

SHOP = "https://shop.example"
EVIL = "https://evil.example"
# What the openai package for browsers sends, and what it asks for in a preflight.
ASKED = "authorization,content-type,openai-project,x-stainless-os,x-stainless-new-one"


async def speak() -> dict[str, str]:
    return {"said": "yes"}


async def surprise() -> None:
    raise ZeroDivisionError("oops")


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


class Site:
    """A house with two routes, seen from pages of other sites."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.web = FastAPI()
        install_error_handlers(self.web)
        guarded = [Depends(access.guard.require("speech"))]
        self.web.add_api_route("/v1/speak", speak, methods=["POST"], dependencies=guarded)
        self.web.add_api_route("/surprise", surprise)
        self.web.add_middleware(RateHeaders)
        self.web.add_middleware(Cors, origins=access.origins)
        self.web.add_middleware(RequestIds)

    async def ask(
        self, method: str, path: str = "/v1/speak", origin: str = SHOP, **headers: str
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.web, raise_app_exceptions=False)
        sent = {"origin": origin} if origin else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, path, headers=sent)

    async def preflight(self, origin: str, **headers: str) -> httpx.Response:
        return await self.ask(
            "OPTIONS",
            origin=origin,
            access_control_request_method="POST",
            access_control_request_headers=ASKED,
            **headers,
        )


@asynccontextmanager
async def site(folder: Path, *origins: str, needs_key: bool = True) -> AsyncGenerator[Site]:
    settings = Settings(
        data_dir=folder, database_url="sqlite://", cors_origins=origins, rate_requests=60
    )
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        if needs_key:
            await access.keys.create("web")
            access.ring._checked_s = float("-inf")
        yield Site(access)


def words(answer: httpx.Response, name: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers.get(name, "").split(",")}


@pytest.mark.parametrize("named", [SHOP, "*"])
async def test_a_preflight_needs_no_key_and_allows_what_openais_clients_send(
    tmp_path: Path, named: str
) -> None:
    async with site(tmp_path, named) as house:
        answer = await house.preflight(SHOP)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == named
    assert words(answer, "access-control-allow-headers") >= set(ASKED.split(","))
    assert words(answer, "access-control-allow-methods") >= {"post", "get", "delete", "patch"}
    assert answer.headers["x-request-id"]


async def test_a_page_that_may_not_call_is_told_so_in_the_preflight(tmp_path: Path) -> None:
    async with site(tmp_path, SHOP) as house:
        answer = await house.preflight(EVIL)

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert "PARLEY_CORS_ORIGINS" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/speak", "/surprise", "/nowhere"])
async def test_errors_can_be_read_by_the_page_too(tmp_path: Path, path: str) -> None:
    async with site(tmp_path, SHOP) as house:
        answer = await house.ask("POST" if path == "/v1/speak" else "GET", path)

    assert answer.status_code in (401, 500, 404)
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "origin" in words(answer, "vary")
    assert words(answer, "access-control-expose-headers") >= {
        "location",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-tokens",
    }


@pytest.mark.parametrize("named", [SHOP, "*"])
async def test_cookies_are_never_allowed(tmp_path: Path, named: str) -> None:
    async with site(tmp_path, named) as house:
        answers = [await house.preflight(SHOP), await house.ask("POST", cookie="a=b")]

    for answer in answers:
        assert "access-control-allow-credentials" not in answer.headers


async def test_other_pages_and_programs_get_no_leave(tmp_path: Path) -> None:
    async with site(tmp_path, SHOP) as house:
        answers = [await house.ask("POST", origin=origin) for origin in (EVIL, "null", "")]

    for answer in answers:
        assert "access-control-allow-origin" not in answer.headers
        assert "origin" in words(answer, "vary")


async def test_where_no_site_is_named_nothing_is_said_of_it(tmp_path: Path) -> None:
    async with site(tmp_path) as house:
        preflight, answer = await house.preflight(SHOP), await house.ask("POST")

    assert preflight.status_code == 405
    for each in (preflight, answer):
        assert not [name for name in each.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("named", "status"), [(SHOP, 200), ("*", 401)])
async def test_where_no_key_was_made_a_named_site_needs_none_and_any_site_needs_one(
    tmp_path: Path, named: str, status: int
) -> None:
    async with site(tmp_path, named, needs_key=False) as house:
        answer = await house.ask("POST")

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [(None, True), (SHOP, True), ("http://testserver", True), (EVIL, False), ("null", False)],
)
def test_a_socket_of_a_foreign_page_is_refused_with_403(
    origin: str | None, is_let_in: bool
) -> None:
    web = FastAPI()
    install_error_handlers(web)
    required = [Depends(Origins((SHOP,)).require)]
    web.add_api_websocket_route("/chat", chat, dependencies=required)
    client = TestClient(web)
    headers = {"origin": origin} if origin else {}

    if is_let_in:
        with client.websocket_connect("/chat", headers=headers):
            return
    with pytest.raises(WebSocketDenialResponse) as refused:
        client.websocket_connect("/chat", headers=headers).__enter__()
    assert refused.value.status_code == 403
    assert refused.value.json()["error"]["code"] == "permission_denied"
