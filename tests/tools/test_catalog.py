"""Tools by name: what an agent wants, it gets, or it is told what there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from parley.core.errors import BadRequest
from parley.tools.catalog import ToolCatalog
from tests.tools.actions import Belt

NOW = datetime(2026, 3, 2, 10, 7)


@dataclass(frozen=True)
class Wish:
    name: str
    options: dict[str, Any] = field(default_factory=dict)


def names(tools):
    return [tool.name for tool in tools]


def test_a_provider_gives_all_its_tools_in_order():
    catalog = ToolCatalog()

    tools = catalog.tools_for(["clock", "telephone", "calendar"])

    assert catalog.names() == [
        "calendar", "clock", "hold", "keypad", "mcp", "n8n", "recordings", "telephone", "transfer",
        "webhook",
    ]  # fmt: skip
    assert names(tools) == [
        "current_time", "hang_up", "adjust_speech", "free_times", "book_appointment",
        "move_appointment", "cancel_appointment", "list_appointments",
    ]  # fmt: skip


def test_a_single_tool_can_be_named():
    tools = ToolCatalog().tools_for(["calendar.free_times", "telephone.hang_up"])

    assert names(tools) == ["free_times", "hang_up"]


@pytest.mark.parametrize(
    "wish",
    [
        {"calendar": {"opens": "08:00", "closes": "10:00"}},
        Wish("calendar", {"opens": "08:00", "closes": "10:00"}),
    ],
)
async def test_options_reach_the_provider(wish):
    belt = Belt(ToolCatalog(clock=lambda zone: NOW).tools_for([wish]))

    free = await belt.use("free_times", day="2026-03-03")

    assert free["times"] == ["08:00", "08:30", "09:00", "09:30"]


def test_every_schema_is_an_object_that_takes_nothing_else():
    for tool in ToolCatalog().tools_for(["calendar", "clock", "telephone"]):
        assert tool.parameters["type"] == "object"
        assert tool.parameters["additionalProperties"] is False
        assert set(tool.parameters.get("required", [])) <= set(tool.parameters["properties"])
        assert tool.description.endswith(".")


def test_what_changes_something_is_not_interrupted():
    tools = {t.name: t for t in ToolCatalog().tools_for(["calendar", "clock", "telephone"])}

    assert [name for name, tool in tools.items() if not tool.interruptible] == [
        "book_appointment", "move_appointment", "cancel_appointment", "hang_up",
    ]  # fmt: skip
    assert [name for name, tool in tools.items() if tool.ends_turn] == ["hang_up"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["calender"], 'There is no tool "calender". Did you mean calendar?'),
        (
            ["weather"],
            "Known: calendar, clock, hold, keypad, mcp, n8n, recordings, telephone, transfer, "
            "webhook.",
        ),
        (["calendar.book"], 'There is no tool "calendar.book". Did you mean'),
        (["clock", "clock"], 'The tool "current_time" is given twice.'),
        ([{"calendar": {"open": "9"}}], 'Tool calendar: there is no option "open". Did you mean'),
        ([{"calendar": {"opens": "late"}}], "Tool calendar: opens: "),
        ([{"calendar": {"opens": "18:00"}}], "closes must be later than opens"),
        ([{"calendar": {"days": ["someday"]}}], "Tool calendar: days.0: "),
        ([{"clock": {"zone": "x"}}], 'there is no option "zone". There are none.'),
        ([7], "7 is no tool."),
        ([{"a": {}, "b": {}}], "is no tool."),
    ],
)
def test_a_wish_that_cannot_be_granted_says_what_there_is(wanted, message):
    with pytest.raises(BadRequest) as refused:
        ToolCatalog().tools_for(wanted)

    assert message in str(refused.value)


def test_a_time_zone_that_is_none_is_refused():
    with pytest.raises(BadRequest, match="Write it as Europe/Berlin"):
        ToolCatalog().tools_for(["clock"], time_zone="Mars/Olympus")
