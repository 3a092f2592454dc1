"""Spoken scenarios over PCM sockets, with the engines that ship."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import numpy as np
from fastapi import FastAPI

from parley.testing.scenario import ScenarioRun, load_scenario
from parley.transports.pcm.socket import pcm_router
from parley.transports.rustpbx.lines import PbxLines
from parley.transports.wheel import Wheel
from tests.builtin_house import SCENARIOS, BuiltinHouse, HouseCall
from tests.transports.pcm.clients import MEDIA_PASS, VOIP_BRIDGE, pcm_call
from tests.transports.rustpbx.served import everybody, served

# The recogniser that ships knows few words by a telephone's 8 kHz: whole questions, no more.
WAYS = {"interruption": VOIP_BRIDGE, "opening_hours": MEDIA_PASS}
AUDIBLE = 1000


async def test_calls_go_as_the_scenarios_say_at_every_rate_all_at_once(builtin: BuiltinHouse):
    web = FastAPI()
    web.include_router(pcm_router(builtin.host, everybody, Wheel(), PbxLines()))
    async with served(web) as url, AsyncExitStack() as stack:
        clients, plays = [], []
        for path in SCENARIOS:
            if (way := WAYS.get(path.stem)) is None:
                continue
            scenario, before = load_scenario(path), builtin.calls_begun
            rate = f"&rate={way.sends_hz}" if way.knows_keys else ""
            address = f"{url}/ws/pcm?agent={scenario.agent}{rate}"
            clients.append(await stack.enter_async_context(pcm_call(address, way)))
            call = HouseCall(clients[-1], builtin, await builtin.call_after(before))
            plays.append(ScenarioRun(scenario, call, builtin.voice).play())
        await asyncio.gather(*plays)

    assert len(clients) == len(WAYS)
    for client in clients:
        heard = np.frombuffer(b"".join(chunk.pcm for chunk in client.heard), np.int16)
        assert np.abs(heard).max() > AUDIBLE
