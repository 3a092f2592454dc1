"""Spoken scenarios through the Realtime protocol, with the engines that ship."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from parley.agents.schema import Agent
from parley.testing.realtime import RealtimeCaller, realtime_call
from parley.testing.scenario import ScenarioRun, load_scenario
from parley.transports.realtime.admission import Reception
from parley.transports.realtime.calls import calls_router
from parley.transports.realtime.exchange import Exchange
from parley.transports.realtime.socket import socket_router
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.signalling import Doors
from tests.api.openai.written_house import served
from tests.builtin_house import SCENARIOS, BuiltinHouse, HouseCall, Mouth, scenario_for
from tests.transports.realtime.house import everybody
from tests.transports.realtime.rtc import RtcClient, rtc_call

AUDIBLE = 1000


Connect = Callable[[str, str], AbstractAsyncContextManager[Mouth]]


def over_websocket(address: str, agent: str) -> AbstractAsyncContextManager[RealtimeCaller]:
    url = address.replace("http", "ws", 1)
    return realtime_call(f"{url}/v1/realtime?model=agent:{agent}")


def over_webrtc(address: str, agent: str) -> AbstractAsyncContextManager[RtcClient]:
    return rtc_call(address, key="any", model=f"agent:{agent}")


WAYS: dict[str, Connect] = {"websocket": over_websocket, "webrtc": over_webrtc}
INTERRUPTION = next(path for path in SCENARIOS if path.stem == "interruption")
# The one that is left out is played below, where more is asked of it.
CALLS = [
    pytest.param(path, way, id=f"{path.stem}-{way}")
    for path in SCENARIOS
    for way in WAYS
    if (path, way) != (INTERRUPTION, "websocket")
]
CAN: frozenset[str] = frozenset()
"""What scenarios may need and Realtime clients can do: they have no keypad and can't be held."""


@asynccontextmanager
async def realtime_door(house: BuiltinHouse) -> AsyncIterator[str]:
    """The house's address."""
    web = FastAPI()
    reception, doors = Reception(house.host, {}), Doors(everybody, everybody)
    web.include_router(socket_router(reception, everybody, _any_voice))
    web.include_router(calls_router(reception, Exchange(), doors, _any_voice, WebRtcOptions()))
    async with served(web) as address:
        yield address


async def _any_voice(agent: Agent, wanted: str) -> str:
    return wanted


@asynccontextmanager
async def spoken_call(
    house: BuiltinHouse, address: str, agent: str, connect: Connect
) -> AsyncIterator[tuple[HouseCall, Any]]:
    before = house.calls_begun
    async with connect(address, agent or house.host.agent("", "default").name) as client:
        yield HouseCall(client, house, await house.call_after(before)), client


@pytest.mark.parametrize(("path", "way"), CALLS)
async def test_the_call_goes_as_the_scenario_says(path: Path, way: str, builtin: BuiltinHouse):
    scenario = scenario_for(path, CAN)
    async with (
        realtime_door(builtin) as address,
        spoken_call(builtin, address, scenario.agent, WAYS[way]) as (call, _),
    ):
        await ScenarioRun(scenario, call, builtin.voice).play()


async def test_an_interrupted_client_has_heard_what_the_agent_remembers(builtin: BuiltinHouse):
    scenario = load_scenario(INTERRUPTION)
    async with (
        realtime_door(builtin) as address,
        spoken_call(builtin, address, scenario.agent, over_websocket) as (call, client),
    ):
        await ScenarioRun(scenario, call, builtin.voice).play()

    types = [event["type"] for event in client.told]
    done = [e["response"] for e in client.told if e["type"] == "response.done"]
    cut = next(e for e in client.told if e["type"] == "conversation.item.truncated")
    cancelled = next(response for response in done if response["status"] == "cancelled")
    heard = np.frombuffer(client.loudspeaker.heard(), np.int16)
    assert "error" not in types
    assert [response["status"] for response in done] == ["completed", "cancelled", "completed"]
    assert cancelled["status_details"]["reason"] == "turn_detected"
    assert [item["id"] for item in cancelled["output"]] == [cut["item_id"]]
    assert abs(cut["audio_end_ms"] - client.loudspeaker.played_ms(cut["item_id"])) < 1
    assert np.abs(heard).max() > AUDIBLE
