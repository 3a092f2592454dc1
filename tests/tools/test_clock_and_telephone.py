"""The clock tells the agent's time; the telephone acts on the call."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parley.core.errors import ToolFailed
from parley.tools.catalog import ToolCatalog
from tests.tools.actions import Belt

NOW = datetime(2026, 3, 2, 23, 30, 59, tzinfo=UTC)


def belt_with(*wanted, time_zone=""):
    catalog = ToolCatalog(clock=lambda zone: NOW.astimezone(zone or UTC))
    return Belt(catalog.tools_for(wanted, time_zone=time_zone))


async def test_the_time_is_that_of_the_agents_zone():
    belt = belt_with("clock", time_zone="Europe/Berlin")

    now = await belt.use("current_time")

    assert now == {
        "date": "2026-03-03",
        "weekday": "Tuesday",
        "time": "00:30",
        "time_zone": "Europe/Berlin",
        "summary": "half past twelve in the morning on Tuesday, March 3rd",
    }


async def test_the_clock_answers_whatever_a_model_passes_along():
    now = await belt_with("clock").use("current_time", zone="please")

    assert (now["time"], now["time_zone"]) == ("23:30", "UTC")


async def test_without_a_clock_of_its_own_the_catalog_tells_the_real_time():
    belt = Belt(ToolCatalog().tools_for(["clock"], time_zone="UTC"))

    before = datetime.now(UTC)
    now = await belt.use("current_time")
    after = datetime.now(UTC)

    assert now["date"] in (before.date().isoformat(), after.date().isoformat())


async def test_hanging_up_ends_the_call_even_with_a_reason_given():
    belt = belt_with("telephone")

    await belt.use("hang_up", reason="The caller said goodbye.")

    assert belt.actions.done == ["hang_up"]


@pytest.mark.parametrize(
    ("arguments", "speed", "volume"),
    [
        ({"speed": 0.8}, 0.8, 1.0),
        ({"volume": 1.5}, 1.0, 1.5),
        ({"speed": 1, "volume": None}, 1.0, 1.0),
    ],
)
async def test_speech_is_adjusted_by_factors(arguments, speed, volume):
    belt = belt_with("telephone")

    answer = await belt.use("adjust_speech", **arguments)

    assert belt.actions.done == [("adjust_speech", speed, volume)]
    assert answer == {"status": "adjusted", "speed": speed, "volume": volume}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give speed or volume"),
        ({"speed": "slow"}, "speed must be a number, not 'slow'."),
        ({"speed": True}, "speed must be a number, not True."),
        ({"volume": 5}, "volume must be between 0.5 and 2.0, not 5."),
        ({"speed": float("nan")}, "speed must be between 0.5 and 2.0"),
        ({"rate": 2}, "There is no argument 'rate'; it takes speed and volume."),
    ],
)
async def test_rubbish_is_refused_with_what_is_wrong(arguments, message):
    belt = belt_with("telephone")

    with pytest.raises(ToolFailed) as failure:
        await belt.use("adjust_speech", **arguments)

    assert message in str(failure.value)
    assert belt.actions.done == []
