"""Spoken scenarios by telephone, with the engines that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.testing.scenario import ScenarioRun
from parley.transports.sip.options import SipOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from parley.transports.wheel import Wheel
from tests.builtin_house import SCENARIOS, BuiltinHouse, HouseCall, scenario_for
from tests.transports.sip.caller import phone_caller

CAN = {"dtmf", "hold"}
# By PCMU, which ends at 4 kHz; all others by G.722.
NARROW = {"booking"}
PORTS = (32_000, 32_999)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_the_call_goes_as_the_scenario_says(path: Path, builtin: BuiltinHouse):
    scenario = scenario_for(path, CAN)
    options = TelephoneOptions(SipOptions(port=0), rtp_ports=PORTS)
    async with (
        Telephone(options, builtin.host, Wheel()) as telephone,
        phone_caller(telephone.endpoint.port, is_wideband=path.stem not in NARROW) as caller,
    ):
        before = builtin.calls_begun
        agent = scenario.agent or builtin.host.agent("", "default").name
        await caller.call(agent)
        call = HouseCall(caller, builtin, await builtin.call_after(before))
        await ScenarioRun(scenario, call, builtin.voice).play()

    heard_ms = caller.audible_ms
    assert heard_ms > 1000
