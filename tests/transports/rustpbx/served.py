"""A server with the sockets of PBXes and engines that tests control, served as the app does it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from parley.access.caller import Caller
from parley.agents.schema import Agent
from parley.core.events import Event
from parley.listeners import Listener
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.tools.spec import Tool
from parley.transports.pcm.socket import pcm_router
from parley.transports.rustpbx.door import PATH, RustPbxDoor
from parley.transports.rustpbx.lines import PbxLines
from parley.transports.rustpbx.options import RustPbxOptions
from parley.transports.rustpbx.rooms import Rooms
from parley.transports.wheel import Wheel
from tests.session.fakes import AGENT, FakeHouse

BRIEF = RustPbxOptions(grace_s=0.1)
"""Nobody waits long for a caller who comes back."""


async def everybody(connection: HTTPConnection) -> Caller:
    """A guard that lets in whoever comes; ``?tenant=`` says whose they are."""
    tenant = connection.query_params.get("tenant", "default")
    caller = Caller(address="127.0.0.1", tenant=tenant)
    connection.scope.setdefault("state", {})["caller"] = caller
    return caller


@dataclass
class Happened:
    """All calls' events."""

    events: list[Event] = field(default_factory=list[Event])
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, event: Event) -> None:
        async with self.news:
            self.events.append(event)
            self.news.notify_all()

    async def until(self, name: str, count: int = 1, limit_s: float = 15.0) -> Event:
        """The ``count``-th event of that name, of whatever call."""
        async with asyncio.timeout(limit_s), self.news:
            while len(found := [event for event in self.events if event.name == name]) < count:
                await self.news.wait()
        return found[count - 1]


@dataclass
class PbxHouse:
    """Where PBXes connect to. ``calls`` is the fake house that holds the sessions."""

    calls: FakeHouse
    host: SessionHost
    door: RustPbxDoor
    happened: Happened
    url: str
    """``ws://HOST:PORT``."""

    @property
    def asked(self) -> list[list[dict[str, Any]]]:
        """What the model was shown, reply by reply."""
        return self.calls.llm.asked

    async def empty(self) -> None:
        """Wait until no call is left."""
        async with asyncio.timeout(15):
            while self.host.live_calls:
                await self.happened.until("call_ended", self._ended + 1)

    @property
    def _ended(self) -> int:
        return sum(event.name == "call_ended" for event in self.happened.events)


@asynccontextmanager
async def pbx_house(
    listening: Listening,
    *,
    options: RustPbxOptions | None = None,
    agents: Sequence[Agent] = (AGENT,),
    tools: Sequence[Tool] = (),
    max_calls: int = 30,
    **engines: Any,
) -> AsyncIterator[PbxHouse]:
    """``engines`` are ``stt``, ``llm`` and ``tts`` of the fake house."""
    happened = Happened()
    calls = FakeHouse(listening, list(agents), tools=tools, listeners=[happened.note], **engines)
    async with calls.host(max_calls=max_calls) as host:
        door = RustPbxDoor(host, Rooms(), Wheel(), PbxLines(options or BRIEF))
        web = FastAPI()
        web.include_router(door.router(everybody, (PATH, "/")))
        web.include_router(pcm_router(host, everybody, door.wheel, door.lines))
        async with served(web) as url:
            yield PbxHouse(calls, host, door, happened, url)


@asynccontextmanager
async def served(web: FastAPI) -> AsyncIterator[str]:
    """The application on a free port; ``ws://HOST:PORT``."""
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    place.bind(("127.0.0.1", 0))
    place.listen(64)
    listener = Listener(web, place, "test")
    try:
        await listener.open()
        yield f"ws://127.0.0.1:{listener.port}"
        await listener.close()
    finally:
        await listener.end()
        place.close()
