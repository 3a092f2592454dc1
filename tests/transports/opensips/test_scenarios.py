"""A spoken scenario through OpenSIPS, with the engines that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.testing.scenario import ScenarioRun
from parley.transports.opensips.gateway import OpenSips
from parley.transports.opensips.options import OpenSipsOptions
from parley.transports.wheel import Wheel
from tests.builtin_house import SCENARIOS, BuiltinHouse, HouseCall, scenario_for
from tests.transports.opensips.board import PORTS, sound_caller
from tests.transports.opensips.fake_opensips import FakeOpenSips

CAN = {"dtmf", "hold"}
# All others are heard and spoken by the same parts as by direct SIP, where they are played too.
PLAYED = [path for path in SCENARIOS if path.stem == "opening_hours"]


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
async def test_the_call_goes_as_the_scenario_says(
    path: Path, opensips: FakeOpenSips, builtin: BuiltinHouse
):
    scenario = scenario_for(path, CAN)
    options = OpenSipsOptions(mi_port=opensips.port, rtp_ports=PORTS)
    async with (
        OpenSips(options, builtin.host, Wheel()) as gateway,
        sound_caller(is_wideband=True) as caller,
    ):
        await gateway.subscription.is_held.wait()
        before = builtin.calls_begun
        await caller.connect(opensips, to=scenario.agent)
        call = HouseCall(caller, builtin, await builtin.call_after(before))
        await ScenarioRun(scenario, call, builtin.voice).play()

    assert caller.audible_ms > 1000
    assert opensips.sessions == {}
