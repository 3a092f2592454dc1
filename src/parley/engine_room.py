"""Opens the engines before all other rooms, for they take the longest to warm up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from parley.agents.catalog import AgentCatalog
from parley.core.log import get_logger
from parley.engines.catalog import EngineCatalog
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import SileroVad
from parley.session.desk import Desk
from parley.settings import Settings
from parley.tools.catalog import ToolCatalog
from parley.tools.house import ToolHouse

log = get_logger(__name__)


@dataclass(frozen=True)
class EngineRoom:
    """The agents, and the engines that they need. They are warm once ``warming`` is done."""

    agents: AgentCatalog
    catalog: EngineCatalog
    tools: ToolCatalog
    tool_house: ToolHouse
    desk: Desk
    vad: SileroVad
    smart_turn: SmartTurn
    warming: asyncio.Future[list[None]]


@asynccontextmanager
async def open_engine_room(settings: Settings) -> AsyncGenerator[EngineRoom]:
    """Open the engines and go on at once; ``warming`` raises what keeps them from working."""
    async with AsyncExitStack() as stack:
        vad, smart_turn = SileroVad(), SmartTurn()
        stack.callback(smart_turn.close)
        # ONNX Runtime loads and tries these on another core and leaves Python to the rest.
        loop = asyncio.get_running_loop()
        loading = [loop.run_in_executor(None, model.warm_up) for model in (vad, smart_turn)]
        agents = AgentCatalog.from_settings(settings)
        for problem in agents.load():
            log.error("agent_broken", problem=str(problem))
        catalog = EngineCatalog.from_settings(settings, fetches=True)
        stack.push_async_callback(catalog.close)
        tool_house = ToolHouse.from_settings(settings)
        stack.push_async_callback(tool_house.close)
        await tool_house.open()
        tools = ToolCatalog(house=tool_house)
        desk = Desk(agents, catalog, tools)
        warming = asyncio.gather(_warm_up(desk, tool_house), *loading)
        stack.push_async_callback(_end, warming)
        yield EngineRoom(agents, catalog, tools, tool_house, desk, vad, smart_turn, warming)


async def _warm_up(desk: Desk, tool_house: ToolHouse) -> None:
    await desk.warm_up()
    # The first call has the tools that agents take from elsewhere, if these are there at all.
    await tool_house.settled()


async def _end(warming: asyncio.Future[list[None]]) -> None:
    warming.cancel()
    await asyncio.gather(warming, return_exceptions=True)
