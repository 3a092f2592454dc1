"""Workflows of n8n become tools of the agents that list them, and stay so while n8n is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import HTMLResponse, JSONResponse

from parley.core.errors import BadRequest, ConnectFailed, DestinationRefused, ToolFailed
from parley.tools.appointments import CalendarProvider
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse
from parley.tools.n8n.directory import Directory
from parley.tools.n8n.provider import N8nProvider
from parley.tools.spec import Tool, ToolCall, idempotency_key
from parley.tools.webhook.destinations import Destinations
from tests.tools.actions import FakeActions
from tests.tools.n8n.n8n_server import API_KEY, SECRET, N8n, Workflow, running

CALENDAR = ("free_times", "book_appointment")


@asynccontextmanager
async def directory_of(
    address: str, folder: Path, *, key: str = API_KEY, refresh_s: float = 0.01
) -> AsyncIterator[Directory]:
    kept_in = folder / "n8n_tools.json"
    destinations = Destinations(implied=[address])
    directory = Directory(address, key, destinations, kept_in, refresh_s)
    await directory.open()
    try:
        yield directory
    finally:
        await directory.close()


@asynccontextmanager
async def house_at(address: str) -> AsyncIterator[ToolHouse]:
    house = ToolHouse(Destinations(implied=[address]), secret=SECRET)
    try:
        yield house
    finally:
        await house.close()


def tools_of(
    house: ToolHouse | None, directory: Directory | None, wish: dict[str, Any]
) -> dict[str, Tool]:
    if house is not None:
        house.n8n = directory
    provider = N8nProvider(house, [CalendarProvider()])
    catalog = ToolCatalog([provider], clock=lambda _zone: datetime(2026, 3, 2, 8, tzinfo=UTC))
    return {tool.name: tool for tool in catalog.tools_for([{"n8n": wish}])}


def call_of(tool: str, **arguments: Any) -> ToolCall:
    actions = FakeActions()
    key = idempotency_key(actions.call_id, tool, "t1")
    return ToolCall("t1", arguments, actions, tenant="acme", agent="desk", idempotency_key=key)


async def test_a_published_workflow_is_found_called_with_a_signature_and_answers(tmp_path: Path):
    n8n = N8n(Workflow("free_rooms"), Workflow("secret_thing"))
    async with (
        running(n8n) as address,
        directory_of(address, tmp_path) as directory,
        house_at(address) as house,
    ):
        await directory.wait_for("free_rooms", "secret_thing")
        tools = tools_of(house, directory, {"only": ["free_rooms"]})
        answer = await tools["free_rooms"].run(call_of("free_rooms", day="2026-03-03"))

    assert list(tools) == ["free_rooms"], "a tool that the agent doesn't list is not its tool"
    assert tools["free_rooms"].description == "Does free_rooms."
    assert tools["free_rooms"].parameters["required"] == ["day"]
    assert tools["free_rooms"].provider == "n8n"
    assert answer == {"day": "2026-03-03", "times": ["09:30"]}
    (run,) = n8n.runs
    assert (run["tool"], run["tenant"], run["agent"]) == ("free_rooms", "acme", "desk")
    assert run["idempotency_key"] == idempotency_key("call_1", "free_rooms", "t1")


async def test_what_is_set_on_the_node_holds_for_the_tool(tmp_path: Path):
    options = {
        "changes": True, "confirms": True, "filler": "I am looking.", "timeoutS": 20,
        "onInterruption": "finish",
    }  # fmt: skip
    n8n = N8n(Workflow("book_room", parameters={"options": options}))
    async with (
        running(n8n) as address,
        directory_of(address, tmp_path) as directory,
        house_at(address) as house,
    ):
        await directory.wait_for("book_room")
        tool = tools_of(house, directory, {"only": ["book_room"]})["book_room"]

    assert (tool.changes, tool.confirms, tool.filler) == (True, True, "I am looking.")
    assert not tool.interruptible
    assert tool.timeout_s >= 20


async def test_only_what_is_published_and_tagged_is_a_tool_as_it_was_published(tmp_path: Path):
    n8n = N8n(
        Workflow("good", draft={"description": "A draft."}),
        Workflow("untagged", tags=("something",)),
        Workflow("unpublished", is_published=False),
        page=1,
    )
    async with running(n8n) as address, directory_of(address, tmp_path) as directory:
        await directory.wait_for("good")
        found = dict(directory.tools)

    assert list(found) == ["good"]
    assert found["good"].options().description == "Does good."


async def test_all_pages_are_read(tmp_path: Path):
    names = [f"tool_{number}" for number in range(7)]
    n8n = N8n(*(Workflow(name) for name in names), page=3)
    async with running(n8n) as address, directory_of(address, tmp_path) as directory:
        await directory.wait_for(*names)

        assert sorted(directory.tools) == names


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "not a name!"}, "letters, digits"),
        ({"name": "={{ $json.name }}"}, "expression"),
        ({"parametersSchema": "{broken"}, "no JSON"),
        ({"parametersSchema": '{"type": "array"}'}, "must be object"),
        ({"options": {"timeoutS": -1}}, "timeout_s"),
        ({"description": ""}, "description"),
    ],
)
async def test_a_node_that_is_set_wrongly_is_named_and_spoils_no_other(
    wrong: dict[str, Any], says: str, tmp_path: Path
):
    n8n = N8n(Workflow("bad", parameters=wrong), Workflow("good"))
    async with running(n8n) as address, directory_of(address, tmp_path) as directory:
        await directory.wait_for("good")
        problems = directory.problems

    assert list(directory.tools) == ["good"]
    assert len(problems) == 1 and "Workflow bad" in problems[0] and says in problems[0]


async def test_of_two_workflows_with_one_name_the_older_one_counts(tmp_path: Path):
    newer = Workflow("other", parameters={"name": "rooms", "description": "Newer."})
    n8n = N8n(Workflow("rooms"), newer)
    async with running(n8n) as address, directory_of(address, tmp_path) as directory:
        await directory.wait_for("rooms")

        assert directory.tools["rooms"].options().description == "Does rooms."
        assert any("both called rooms" in problem for problem in directory.problems)


async def test_a_workflow_that_is_published_later_becomes_a_tool_by_itself(tmp_path: Path):
    n8n = N8n(Workflow("first"))
    async with running(n8n) as address, directory_of(address, tmp_path) as directory:
        await directory.wait_for("first")
        n8n.workflows.append(Workflow("second"))

        await directory.wait_for("first", "second")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (JSONResponse({"message": "unauthorized"}, 401), "refuses the key"),
        (JSONResponse({"message": "not found"}, 404), "answered 404"),
        (HTMLResponse("<html>a proxy's page</html>"), "something else than JSON"),
        (JSONResponse({"rows": []}), "something else than workflows"),
        (JSONResponse([]), "something else than JSON"),
    ],
)
async def test_while_n8n_is_away_the_last_list_stays_and_somebody_is_told_why(
    answer: Any, says: str, tmp_path: Path
):
    n8n = N8n(Workflow("rooms"))
    async with running(n8n) as address, directory_of(address, tmp_path) as directory:
        await directory.wait_for("rooms")
        n8n.answers_instead = answer

        with pytest.raises(ConnectFailed, match=says):
            await directory.refresh()

        assert list(directory.tools) == ["rooms"]


async def test_the_last_list_outlives_a_restart_while_n8n_is_down(tmp_path: Path):
    async with (
        running(N8n(Workflow("rooms"))) as address,
        directory_of(address, tmp_path) as directory,
    ):
        await directory.wait_for("rooms")

    async with directory_of(address, tmp_path) as again, house_at(address) as house:
        tool = tools_of(house, again, {"only": ["rooms"]})["rooms"]
        with pytest.raises(ConnectFailed, match="can't be reached"):
            await again.refresh()
        with pytest.raises(ToolFailed) as failure:
            await tool.run(call_of("rooms", day="2026-03-03"))

    assert "rooms" in again.tools
    assert "127.0.0.1" not in str(failure.value), "the model gets a sentence, not an address"
    async with directory_of("http://127.0.0.1:9", tmp_path) as another:
        assert not another.tools, "another n8n's list is not taken"


async def test_a_spoilt_list_is_left_alone(tmp_path: Path):
    (tmp_path / "n8n_tools.json").write_text('{"base_url": "http://127.0.0.1:9", "tools": [1]}')

    async with directory_of("http://127.0.0.1:9", tmp_path) as directory:
        assert not directory.is_known


async def test_the_calendar_stands_in_where_n8n_is_not_configured_or_has_no_such_tools(
    tmp_path: Path,
):
    wish: dict[str, Any] = {"only": list(CALENDAR), "otherwise": {"calendar": {"opens": "08:00"}}}
    n8n = N8n(Workflow("something_else"))
    async with (
        running(n8n) as address,
        directory_of(address, tmp_path) as directory,
        house_at(address) as house,
    ):
        without_n8n = tools_of(house, None, wish)
        await directory.wait_for("something_else")
        without_tools = tools_of(house, directory, wish)
        n8n.workflows += [Workflow("free_times"), Workflow("book_appointment")]
        await directory.wait_for(*CALENDAR)
        with_tools = tools_of(house, directory, wish)

    assert sorted(without_n8n) == sorted(without_tools) == sorted(with_tools) == sorted(CALENDAR)
    assert {tool.provider for tool in with_tools.values()} == {"n8n"}
    assert {tool.provider for tool in without_tools.values()} == {"calendar"}


async def test_bookings_are_not_taken_by_a_stand_in_while_nobody_knows_what_n8n_has(
    tmp_path: Path,
):
    wish: dict[str, Any] = {"only": list(CALENDAR), "otherwise": {"calendar": None}}
    async with (
        directory_of("http://127.0.0.1:9", tmp_path) as directory,
        house_at("http://127.0.0.1:9") as house,
    ):
        assert tools_of(house, directory, wish) == {}


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({}, "only"),
        ({"only": []}, "only"),
        ({"only": ["rooms"], "otherwise": {"diary": {}}}, 'no tool "diary"'),
        ({"only": ["free_times"], "otherwise": {"calendar": {"opens": "25:00"}}}, "opens"),
        ({"only": ["rooms"], "otherwise": {"calendar": {}}}, 'no "rooms" among'),
    ],
)
def test_what_an_agent_writes_wrongly_is_named(wish: dict[str, Any], says: str):
    with pytest.raises(BadRequest, match=says):
        tools_of(None, None, wish)


async def test_an_agent_that_needs_n8n_is_refused_where_there_is_none():
    async with house_at("http://127.0.0.1:9") as house:
        with pytest.raises(BadRequest, match="no n8n is configured"):
            tools_of(house, None, {"only": ["rooms"]})


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_a_wrong_key_is_told_apart_from_a_dead_n8n(key: str, tmp_path: Path):
    n8n = N8n(Workflow("rooms"))
    async with running(n8n) as address, directory_of(address, tmp_path, key=key) as directory:
        with pytest.raises(ConnectFailed, match="N8N_API_KEY"):
            await directory.refresh()

        assert not directory.is_known


async def test_a_call_that_the_caller_breaks_off_ends_at_once(tmp_path: Path):
    begun = asyncio.Event()

    async def never(_envelope: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    n8n = N8n(Workflow("slow", work=never))
    async with (
        running(n8n) as address,
        directory_of(address, tmp_path) as directory,
        house_at(address) as house,
    ):
        await directory.wait_for("slow")
        tool = tools_of(house, directory, {"only": ["slow"]})["slow"]
        running_tool = asyncio.create_task(tool.run(call_of("slow", day="2026-03-03")))
        await begun.wait()
        running_tool.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running_tool


async def test_an_address_that_may_not_be_reached_is_no_end_of_asking(tmp_path: Path):
    async with directory_of("http://0.0.0.0:5678", tmp_path) as directory:
        await directory.asked()

        assert not directory.is_known
        with pytest.raises(DestinationRefused):
            await directory.refresh()
