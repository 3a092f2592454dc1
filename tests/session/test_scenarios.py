"""Spoken scenarios through the fake transport, with the engines that ship."""

from __future__ import annotations

import asyncio

from parley.core.call import CallInfo
from parley.testing.scenario import Scenario, ScenarioRun, load_scenario
from parley.testing.transport import FakeTransport
from tests.builtin_house import SCENARIOS, BuiltinHouse


async def test_two_calls_at_once_go_each_as_its_scenario_says(builtin: BuiltinHouse):
    scenarios = [load_scenario(path) for path in SCENARIOS if path.stem != "interruption"]
    ends = [begun(builtin, scenario) for scenario in scenarios]

    await asyncio.gather(
        *(
            ScenarioRun(scenario, end, builtin.voice).play()
            for scenario, end in zip(scenarios, ends, strict=True)
        )
    )


async def test_a_call_is_interrupted_as_the_scenario_says(builtin: BuiltinHouse):
    (path,) = [path for path in SCENARIOS if path.stem == "interruption"]
    scenario = load_scenario(path)

    await ScenarioRun(scenario, begun(builtin, scenario), builtin.voice).play()


def begun(builtin: BuiltinHouse, scenario: Scenario) -> FakeTransport:
    """The caller's end of a call with the scenario's agent."""
    end = FakeTransport()
    place = builtin.host.admit(CallInfo(agent=scenario.agent, transport="fake"))
    builtin.host.start(place, end)
    return end
