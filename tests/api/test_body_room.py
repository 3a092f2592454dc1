"""Large bodies that are held at once have a bound, and what takes long to read isn't read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel

from parley.api.body_room import SMALL_BYTES, BodyRoom
from parley.api.errors import install_error_handlers
from parley.api.openai.bodies import read_json
from parley.core.json_marks import MOST_MARKS

LARGE = {"text": "x" * (3 * SMALL_BYTES)}


class Body(BaseModel):
    text: str = ""
    rest: Any = None


class Desk:
    """A route that holds what it has read until it is told to let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.holding = asyncio.Semaphore(0)

    async def take(self, request: Request) -> dict[str, int]:
        body = await read_json(request, Body, most_bytes=100 * SMALL_BYTES, stall_s=10)
        self.holding.release()
        await self.let_go.wait()
        return {"length": len(body.text)}


@asynccontextmanager
async def desk_with(most_bytes: int) -> AsyncIterator[tuple[Desk, httpx.AsyncClient]]:
    desk, web = Desk(), FastAPI()
    install_error_handlers(web)
    web.add_api_route("/take", desk.take, methods=["POST"])
    web.add_middleware(BodyRoom, most_bytes=most_bytes)
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as http:
        yield desk, http


async def test_no_more_large_bodies_are_held_than_there_is_room_for():
    async with desk_with(7 * SMALL_BYTES) as (desk, http):
        held = [asyncio.create_task(http.post("/take", json=LARGE)) for _ in range(2)]
        for _ in held:
            await desk.holding.acquire()
        refused = await http.post("/take", json=LARGE)
        small = asyncio.create_task(http.post("/take", json={"text": "x"}))
        await desk.holding.acquire()
        desk.let_go.set()
        answers = await asyncio.gather(*held, small)
        later = await http.post("/take", json=LARGE)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "server_overloaded"
    assert [answer.status_code for answer in [*answers, later]] == [200] * 4


async def test_one_that_is_alone_is_let_in_however_large_it_may_be():
    async with desk_with(SMALL_BYTES) as (desk, http):
        desk.let_go.set()
        answer = await http.post("/take", json=LARGE)

    assert answer.json() == {"length": len(LARGE["text"])}


@pytest.mark.parametrize("unit", [b"[],", b'{"a":0},'])
async def test_a_body_of_very_many_values_is_refused_unread(unit: bytes):
    body = b'{"rest":[' + unit * (MOST_MARKS // 2 + 1) + b"0]}"
    async with desk_with(SMALL_BYTES) as (_, http):
        answer = await http.post("/take", content=body)

    assert answer.status_code == 413
    assert "values" in answer.json()["error"]["message"]
