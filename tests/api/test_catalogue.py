"""Agents and tools over HTTP: listed, shown without secrets, and files checked by line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from parley.agents.catalog import AgentCatalog
from parley.agents.check import Installed
from parley.agents.reading import AgentDefaults
from parley.api.catalogue import catalogue_router
from parley.api.errors import install_error_handlers
from parley.api.openai.engines import open_to_all
from parley.engines.found import engines_from
from parley.engines.llm.openai import SPEC as OPENAI
from parley.engines.llm.scripted.chatter import SPEC as SCRIPTED
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse

FRONT = """\
title: Front desk
instructions: Be kind.
engines:
  llm: {engine: openai, api_key: very-secret}
tools: [clock, calendar.free_times]
"""
# Each line is ten times the one before.
LAUGHS = "a0: &a0 [ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@asynccontextmanager
async def client(
    folder: Path, front: str = FRONT, house: ToolHouse | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    (folder / "front.yaml").write_text(front)
    defaults, tools = AgentDefaults(name="front"), ToolCatalog(house=house)
    agents = AgentCatalog([folder], defaults)
    assert agents.load() == []
    web = FastAPI()
    install_error_handlers(web)
    router = catalogue_router(
        agents,
        tools,
        defaults,
        Installed(engines_from([SCRIPTED, OPENAI]), tools),
        see_agents=open_to_all,
        see_tools=open_to_all,
        stall_s=5,
    )
    web.include_router(router)
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as http:
        yield http


async def test_agents_are_listed_and_shown_without_their_keys(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        listed = (await http.get("/v1/agents")).json()
        answer = await http.get("/v1/agents/front")
        missing = await http.get("/v1/agents/back")

    one = answer.json()
    assert [(each["id"], each["model"], each["is_default"]) for each in listed["data"]] == [
        ("front", "agent:front", True)
    ]
    assert one["instructions"] == "Be kind."
    assert one["engines"]["llm"] == ["openai"]
    assert [tool["name"] for tool in one["tools"]][-1] == "free_times"
    assert "very-secret" not in answer.text
    assert missing.status_code == 404


async def test_an_agent_is_shown_whose_tools_are_those_of_a_server(tmp_path: Path) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    front = 'tools:\n  - mcp: {name: shop, url: "http://127.0.0.1:9/mcp", only: ["*"]}\n'
    house = ToolHouse()
    try:
        async with client(tmp_path, front, house) as http:
            shown = await http.get("/v1/agents/front")
    finally:
        await house.close()

    assert (shown.status_code, shown.json()["tools"]) == (200, [])


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_file_is_checked_by_line(tmp_path: Path, as_json: bool) -> None:
    wrong = "title: X\nengines:\n  llm: olama\ntools: [cloak]\n"
    async with client(tmp_path) as http:
        sent: dict[str, Any] = {"json": {"yaml": wrong}} if as_json else {"content": wrong}
        told = (await http.post("/v1/agents/check", **sent)).json()
        right = (await http.post("/v1/agents/check", content=FRONT)).json()

    assert not told["is_right"]
    assert [each["line"] for each in told["problems"]] == [3, 4]
    assert "clock" in told["problems"][1]["message"]
    assert right == {"object": "agent.check", "is_right": True, "problems": []}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {"yaml": "title: X", "name": "../x"}}, 400),
        ({"json": {}}, 400),
        ({"content": b"\xff\xfe"}, 400),
        ({"content": b"x" * 300_000}, 413),
        ({"content": b"[" * 5000}, 400),
        ({"content": LAUGHS}, 400),
    ],
)
async def test_what_is_no_file_is_refused(
    tmp_path: Path, sent: dict[str, Any], status: int
) -> None:
    async with client(tmp_path) as http:
        answer = await http.post("/v1/agents/check", **sent)

    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_tools_are_listed_with_their_schemas(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        listed = (await http.get("/v1/tools")).json()

    providers = {each["id"]: each for each in listed["data"]}
    assert set(providers) >= {"calendar", "clock", "telephone", "transfer", "hold", "keypad"}
    assert "opens" in providers["calendar"]["options"]["properties"]
    book = next(t for t in providers["calendar"]["tools"] if t["name"] == "book_appointment")
    assert book["parameters"]["type"] == "object"
    assert book["is_interruptible"] is False
