"""Spoken scenarios through the fake transport, with the engines that ship."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.agents.catalog import AgentCatalog
from parley.core.audio import Resampler
from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.engines.catalog import EngineCatalog
from parley.engines.spec import SpeechOptions
from parley.session.desk import Desk
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.turns import Listening
from parley.settings import load_settings
from parley.testing.scenario import ScenarioRun, load_scenario
from parley.testing.transport import FakeTransport
from parley.tools.catalog import ToolCatalog

SCENARIOS = sorted((Path(__file__).parents[1] / "calls").glob("*.yaml"))
CALLER_VOICE = "en-us+f3"
CALLER_HZ = 16_000


class BuiltinHouse:
    """A host with the built-in engines, and a caller's voice."""

    def __init__(self, host: SessionHost, desk: Desk) -> None:
        self.host = host
        self._desk = desk

    async def voice(self, text: str) -> bytes:
        engines = await self._desk.engines_for(self.host.agent(""), "")
        spoken, resampler = b"", None
        async for piece in engines.tts.synthesize(text, SpeechOptions(voice=CALLER_VOICE)):
            resampler = resampler or Resampler(piece.rate_hz, CALLER_HZ)
            spoken += resampler.push(piece.pcm)
        return spoken + (resampler.flush() if resampler else b"")


@pytest.fixture
async def builtin(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BuiltinHouse]:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    settings = load_settings(env_file=tmp_path / ".env")
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    catalog = EngineCatalog.from_settings(settings)
    desk = Desk(agents, catalog, ToolCatalog())
    try:
        await desk.warm_up()
        async with Bus() as bus:
            house = House(bus, agents, desk, desk, listening)
            async with SessionHost(house, max_calls=4) as host:
                yield BuiltinHouse(host, desk)
    finally:
        await catalog.close()


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
