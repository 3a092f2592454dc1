"""Spoken scenarios through the fake transport, with the engines that ship."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parley.core.call import CallInfo
from parley.testing.scenario import ScenarioRun, load_scenario
from parley.testing.transport import FakeTransport
from tests.builtin_house import SCENARIOS, BuiltinHouse


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_the_call_goes_as_the_scenario_says(path: Path, builtin: BuiltinHouse):
    scenario = load_scenario(path)
    transport = FakeTransport()
    place = builtin.host.admit(CallInfo(agent=scenario.agent, transport="fake"))
    builtin.host.start(place, transport)

    await ScenarioRun(scenario, transport, builtin.voice).play()


async def test_two_calls_at_once_do_not_mix(builtin: BuiltinHouse):
    ends = [FakeTransport(), FakeTransport()]
    for end in ends:
        place = builtin.host.admit(CallInfo(agent="", transport="fake"))
        builtin.host.start(place, end)
    scenarios = [load_scenario(path) for path in SCENARIOS if path.stem != "interruption"]

    await asyncio.gather(
        *(
            ScenarioRun(scenario, end, builtin.voice).play()
            for scenario, end in zip(scenarios, ends, strict=True)
        )
    )
