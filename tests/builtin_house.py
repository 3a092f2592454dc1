"""A host of calls with the engines that ship, and a caller's voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from parley.agents.catalog import AgentCatalog
from parley.core.bus import Bus
from parley.core.events import CallStarted, Event
from parley.engines.catalog import EngineCatalog
from parley.session.desk import Desk
from parley.session.host import SessionHost
from parley.session.house import House
from parley.session.turns import Listening
from parley.settings import load_settings
from parley.testing.scenario import Scenario, load_scenario
from parley.tools.catalog import ToolCatalog
from tests.caller_voice import CallerVoice

SCENARIOS = sorted((Path(__file__).parent / "calls").glob("*.yaml"))


class BuiltinHouse:
    """``events`` are those of all its calls."""

    def __init__(self, host: SessionHost, desk: Desk, bus: Bus) -> None:
        self.host = host
        self.desk = desk
        self.voice = CallerVoice()
        self.events: list[Event] = []
        self._happened = asyncio.Condition()
        bus.subscribe("test", self._note)

    async def _note(self, event: Event) -> None:
        async with self._happened:
            self.events.append(event)
            self._happened.notify_all()

    async def events_of(self, call_id: str, position: int) -> AsyncIterator[tuple[int, Event]]:
        """One call's events from ``position`` on, those to come included."""
        while True:
            async with self._happened:
                while len(found := self._of(call_id)) <= position:
                    await self._happened.wait()
            yield position, found[position]
            position += 1

    async def until(self, call_id: str, name: str, count: int = 1) -> Any:
        """The call's event of that name, when there have been ``count`` of them."""
        async with self._happened:
            while len(found := [e for e in self._of(call_id) if e.name == name]) < count:
                await self._happened.wait()
        return found[count - 1]

    async def call_after(self, earlier: int) -> str:
        """The name of the call that began when ``earlier`` had begun before it."""
        async with self._happened:
            while len(started := self._started()) <= earlier:
                await self._happened.wait()
        return started[earlier].call_id

    @property
    def calls_begun(self) -> int:
        return len(self._started())

    def _of(self, call_id: str) -> list[Event]:
        return [event for event in self.events if event.call_id == call_id]

    def _started(self) -> list[Event]:
        return [event for event in self.events if isinstance(event, CallStarted)]


class Mouth(Protocol):
    """A caller's, over whatever transport."""

    async def speak(self, pcm: bytes) -> None: ...

    def leave(self) -> None: ...


class HouseCall:
    """A call as scenarios want it: the events are the house's own."""

    def __init__(self, caller: Mouth, house: BuiltinHouse, call_id: str) -> None:
        self.speak = caller.speak
        self.leave = caller.leave
        self._house = house
        self._call_id = call_id

    def events_from(self, position: int) -> AsyncIterator[tuple[int, Event]]:
        return self._house.events_of(self._call_id, position)


def scenario_for(path: Path, can: Collection[str]) -> Scenario:
    """The scenario, for callers who can do these things; its test is skipped for others."""
    scenario = load_scenario(path)
    if lacking := set(scenario.needs) - set(can):
        pytest.skip(f"needs {', '.join(sorted(lacking))}")
    return scenario


@asynccontextmanager
async def builtin_house(folder: Path, listening: Listening) -> AsyncIterator[BuiltinHouse]:
    """Open one that keeps its things in the folder; PARLEY_DATA_DIR names it too."""
    settings = load_settings(env_file=folder / ".env")
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    catalog = EngineCatalog.from_settings(settings)
    desk = Desk(agents, catalog, ToolCatalog())
    try:
        await desk.warm_up()
        async with Bus() as bus:
            house = House(bus, agents, desk, desk, listening)
            async with SessionHost(house, max_calls=4) as host:
                yield BuiltinHouse(host, desk, bus)
    finally:
        await catalog.close()
