"""Spoken scenarios by telephone, with the engines that ship."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.core.events import Event
from parley.session.turns import Listening
from parley.testing.scenario import ScenarioRun, load_scenario
from parley.transports.sip.options import SipOptions
from parley.transports.sip.telephone import Telephone, TelephoneOptions
from tests.builtin_house import SCENARIOS, BuiltinHouse, builtin_house
from tests.transports.sip.caller import PhoneCaller, phone_caller

CAN = {"dtmf", "hold"}
PORTS = (32_000, 32_999)


class SpokenCall:
    """A caller as scenarios want one: the events are the house's own."""

    def __init__(self, caller: PhoneCaller, house: BuiltinHouse, call_id: str) -> None:
        self.speak = caller.speak
        self.leave = caller.leave
        self._house = house
        self._call_id = call_id

    def events_from(self, position: int) -> AsyncIterator[tuple[int, Event]]:
        return self._house.events_of(self._call_id, position)


@pytest.fixture
async def builtin(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BuiltinHouse]:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    async with builtin_house(tmp_path, listening) as house:
        yield house


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_the_call_goes_as_the_scenario_says(path: Path, builtin: BuiltinHouse):
    scenario = load_scenario(path)
    if lacking := set(scenario.needs) - CAN:
        pytest.skip(f"needs {', '.join(sorted(lacking))}")
    options = TelephoneOptions(SipOptions(port=0), rtp_ports=PORTS)
    async with (
        Telephone(options, builtin.host) as telephone,
        phone_caller(telephone.endpoint.port, is_wideband=True) as caller,
    ):
        before = builtin.calls_begun
        agent = scenario.agent or builtin.host.agent("", "default").name
        await caller.call(agent)
        call = SpokenCall(caller, builtin, await builtin.call_after(before))
        await ScenarioRun(scenario, call, builtin.voice).play()

    heard_ms = caller.audible_ms
    assert heard_ms > 1000
