"""Calling people over HTTP: who may, what is asked for, and what the telephone is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from parley.access.opening import Access, open_access
from parley.api.calls_out import Dialler, calls_out_router
from parley.api.errors import install_error_handlers
from parley.core.call import CallInfo
from parley.core.errors import CallLimitReached
from parley.session.dialling import Dial, Opening
from parley.session.live_call import LiveCall
from parley.settings import Settings
from parley.store.opening import open_store

BOB = {"to": "sip:bob@pbx.example"}


@dataclass
class Telephone:
    """Notes whom it was to call, and calls nobody."""

    dialled: list[Dial] = field(default_factory=list[Dial])
    error: Exception | None = None

    async def dial(self, wish: Dial) -> CallInfo:
        self.dialled.append(wish)
        if self.error is not None:
            raise self.error
        return CallInfo(
            agent=wish.agent or "receptionist",
            transport="sip",
            tenant=wish.tenant,
            direction="outbound",
            caller="sip:parley@127.0.0.1",
            callee=wish.target,
        )

    def live(self, tenant: str) -> list[LiveCall]:
        return []


@asynccontextmanager
async def opened(folder: Path, dialler: Dialler | None) -> AsyncIterator[tuple[Access, FastAPI]]:
    settings = Settings(data_dir=folder, database_url="sqlite://")
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        access = await stack.enter_async_context(open_access(settings, store))
        web = FastAPI()
        install_error_handlers(web)
        guard = access.guard.require("outbound")
        web.include_router(calls_out_router(dialler, Telephone(), guard, stall_s=5))
        yield access, web


def client(web: FastAPI, token: str = "") -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(web, client=("127.0.0.1", 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


@pytest.fixture(autouse=True)
def new_keys_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.access.ring.FRESH_S", 0.0)


@pytest.fixture
def telephone() -> Telephone:
    return Telephone()


@pytest.fixture
async def acme(tmp_path: Path, telephone: Telephone) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(tmp_path, telephone) as (access, web):
        made = await access.keys.create("acme", tenant="acme", scopes=["outbound"])
        yield client(web, made.token)


async def test_nobody_is_called_until_there_is_a_key_for_it(
    tmp_path: Path, telephone: Telephone
) -> None:
    async with opened(tmp_path, telephone) as (access, web):
        bare = await client(web).post("/v1/calls", json=BOB)
        made = await access.keys.create("talker", tenant="acme", scopes=["calls"])
        without = await client(web, made.token).post("/v1/calls", json=BOB)

    assert (bare.status_code, without.status_code) == (401, 403)
    assert telephone.dialled == []


async def test_what_is_asked_for_reaches_the_telephone(
    acme: httpx.AsyncClient, telephone: Telephone
) -> None:
    answer = await acme.post(
        "/v1/calls",
        json={
            **BOB,
            "agent": "receptionist",
            "from": "tel:+4930123",
            "from_name": "The Practice",
            "headers": {"X-Campaign": "7"},
            "ring_timeout_s": 20,
            "greeting": "Good morning.",
            "answering_machine": "leave_message",
            "message": "Please call us back.",
        },
    )

    call = answer.json()
    assert answer.status_code == 201
    assert (call["direction"], call["callee"]) == ("outbound", "sip:bob@pbx.example")
    assert telephone.dialled == [
        Dial(
            target="sip:bob@pbx.example",
            tenant="acme",
            agent="receptionist",
            caller="tel:+4930123",
            caller_name="The Practice",
            headers={"X-Campaign": "7"},
            ring_limit_s=20,
            opening=Opening("leave_message", "Good morning.", "Please call us back."),
        )
    ]


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"to": ""}, "to"),
        ({"to": "sip:a@b\r\nEvil: 1"}, "to"),
        ({"headers": {"From": "sip:bank@example.org"}}, "headers"),
        ({"headers": {"X-A": "b\r\nEvil: 1"}}, "headers"),
        ({"ring_timeout_s": 0}, "ring_timeout_s"),
        ({"answering_machine": "shout"}, "answering_machine"),
        ({"from_name": "a\nb"}, "from_name"),
    ],
)
async def test_what_makes_no_sense_calls_nobody(
    acme: httpx.AsyncClient, telephone: Telephone, wish: dict[str, Any], param: str
) -> None:
    answer = await acme.post("/v1/calls", json={**BOB, **wish})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert telephone.dialled == []


async def test_a_full_house_calls_nobody_and_says_when_to_try_again(
    acme: httpx.AsyncClient, telephone: Telephone
) -> None:
    telephone.error = CallLimitReached("All 8 lines are busy.", retry_after_s=5)

    answer = await acme.post("/v1/calls", json=BOB)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_without_a_telephone_that_is_what_the_answer_says(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as (access, web):
        made = await access.keys.create("acme", tenant="acme", scopes=["outbound"])
        answer = await client(web, made.token).post("/v1/calls", json=BOB)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_supported")
    assert "PARLEY_SIP=true" in answer.json()["error"]["message"]
