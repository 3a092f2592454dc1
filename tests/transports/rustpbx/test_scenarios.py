"""Spoken scenarios through a PBX's socket, with the engines that ship."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parley.testing.scenario import ScenarioRun
from parley.transports.rustpbx.door import PATH
from parley.transports.rustpbx.rooms import Rooms
from tests.builtin_house import SCENARIOS, BuiltinHouse, HouseCall, scenario_for
from tests.transports.rustpbx.clients import A as OLDEST
from tests.transports.rustpbx.clients import B as BETWEEN
from tests.transports.rustpbx.clients import C as NEWEST
from tests.transports.rustpbx.clients import PbxClient, Profile
from tests.transports.rustpbx.house import served_door

AUDIBLE = 1000
CAN: frozenset[str] = frozenset()
"""What scenarios may need and this socket can do: it carries neither keys nor hold."""


async def test_calls_go_as_the_scenarios_say_all_at_once_with_every_kind_of_client(
    builtin: BuiltinHouse,
):
    clients = dict(zip(SCENARIOS, (OLDEST, BETWEEN, NEWEST), strict=True))
    async with served_door(builtin.host) as (door, address):
        stage = Stage(builtin, door.rooms, address)
        loudness = await asyncio.gather(*(stage.play(*each) for each in clients.items()))

    assert min(loudness) > AUDIBLE
    assert door.rooms.count == 0


@dataclass(frozen=True)
class Stage:
    house: BuiltinHouse
    rooms: Rooms
    address: str

    async def play(self, path: Path, profile: Profile) -> int:
        """Play a scenario with a client; how loud the agent was."""
        scenario, client = scenario_for(path, CAN), PbxClient(profile)
        try:
            await client.connect(f"{self.address}{PATH}?agent={scenario.agent}")
            await client.until("configured")
            call_id = self.rooms.get("default", client.room_id).calls[0].call_id
            call = HouseCall(client, self.house, call_id)
            await ScenarioRun(scenario, call, self.house.voice).play()
        finally:
            await client.closed()
        sound = np.concatenate([np.frombuffer(piece.pcm, "<i2") for piece in client.sound])
        return int(np.abs(sound).max())
