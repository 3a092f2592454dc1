"""A server with the RustPBX socket, on engines that tests control or on those that ship."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from parley.core.audio import pcm_bytes
from parley.core.events import Event
from parley.session.host import SessionHost
from parley.session.turns import Listening
from parley.transports.rustpbx.door import PATH, Guard, RustPbxDoor
from parley.transports.rustpbx.lines import PbxLines
from parley.transports.rustpbx.options import RustPbxOptions
from parley.transports.rustpbx.rooms import Rooms
from parley.transports.wheel import Wheel
from tests.api.openai.written_house import served
from tests.session.fakes import FakeHouse, agent_with
from tests.transports.realtime.house import everybody

Message = dict[str, Any]
PATIENCE_S = 15.0
RATE_HZ = 16_000
MUTE = agent_with(
    greeting="", turn_taking={"endpointing": "silence", "silence_ms": 300, "idle_s": 0}
)


@asynccontextmanager
async def served_door(
    host: SessionHost,
    *,
    options: RustPbxOptions | None = None,
    guard: Guard = everybody,
    paths: Sequence[str] = (PATH, "/"),
) -> AsyncIterator[tuple[RustPbxDoor, str]]:
    """The door, and the address that leads to it as ``ws://…``."""
    door = RustPbxDoor(host, Rooms(), Wheel(), PbxLines(options))
    web = FastAPI()
    web.include_router(door.router(guard, paths))
    async with served(web) as address:
        yield door, address.replace("http", "ws", 1)


@dataclass
class PbxHouse:
    """``events`` are those of all calls; ``calls`` is the fake house that holds them."""

    calls: FakeHouse
    host: SessionHost
    door: RustPbxDoor
    address: str
    events: list[Event]
    happened: asyncio.Condition

    @property
    def rooms(self) -> Rooms:
        return self.door.rooms

    @asynccontextmanager
    async def pbx(self, query: str = "", *, path: str = PATH) -> AsyncIterator[Pbx]:
        async with pbx(f"{self.address}{path}{query}") as client:
            yield client

    async def until(self, name: str, count: int = 1) -> Any:
        """The ``count``-th event of that name, of whichever call."""
        async with asyncio.timeout(PATIENCE_S), self.happened:
            while len(found := [each for each in self.events if each.name == name]) < count:
                await self.happened.wait()
            return found[count - 1]


@asynccontextmanager
async def pbx_house(
    listening: Listening,
    *,
    options: RustPbxOptions | None = None,
    guard: Guard = everybody,
    max_calls: int = 20,
    **house: Any,
) -> AsyncIterator[PbxHouse]:
    """``house`` has what ``FakeHouse`` takes: ``agents``, ``stt``, ``llm``, ``tts`` …"""
    events: list[Event] = []
    happened = asyncio.Condition()

    async def note(event: Event) -> None:
        async with happened:
            events.append(event)
            happened.notify_all()

    calls = FakeHouse(listening, listeners=[note], **house)
    async with (
        calls.host(max_calls=max_calls) as host,
        served_door(host, options=options, guard=guard) as (door, address),
    ):
        yield PbxHouse(calls, host, door, address, events, happened)


@dataclass
class Pbx:
    """A plain client: everything that comes is kept. ``sound`` is the agent's voice."""

    socket: ClientConnection
    told: list[Message] = field(default_factory=list[Message])
    sound: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    ticks: int = 0
    close_code: int = 0
    _position: int = 0
    _is_over: bool = False
    _happened: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, command: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"command": command, **fields}))

    async def configure(self, room_id: str = "rustpbx_1", **fields: Any) -> Message:
        """What it is answered."""
        await self.send("configure", room_id=room_id, **fields)
        return await self.until("configured")

    async def say(self, pcm: bytes, *, silence_ms: int = 1500) -> None:
        """Say s16le at 16 kHz and fall silent, all at once."""
        await self.socket.send(pcm + bytes(pcm_bytes(silence_ms, RATE_HZ)))

    async def until(self, kind: str, **fields: Any) -> Message:
        """The next message of that type and with these fields; those before are passed."""
        async with asyncio.timeout(PATIENCE_S), self._happened:
            while True:
                while len(self.told) <= self._position:
                    assert not self._is_over, f"closed ({self.close_code}) after {self.told}"
                    await self._happened.wait()
                message = self.told[self._position]
                self._position += 1
                if message["type"] == kind and fields.items() <= message.items():
                    return message

    async def heard(self, duration_ms: float) -> None:
        """Wait until that much more sound has come."""
        wanted = len(self.sound) + pcm_bytes(duration_ms, RATE_HZ)
        async with asyncio.timeout(PATIENCE_S), self._happened:
            await self._happened.wait_for(lambda: len(self.sound) >= wanted)

    async def ticked(self, count: int) -> None:
        """Wait until so many more empty messages have come."""
        wanted = self.ticks + count
        async with asyncio.timeout(PATIENCE_S), self._happened:
            await self._happened.wait_for(lambda: self.ticks >= wanted)

    async def over(self) -> int:
        """Wait until the server has closed; its code."""
        async with asyncio.timeout(PATIENCE_S), self._happened:
            await self._happened.wait_for(lambda: self._is_over)
        return self.close_code

    def all(self, kind: str) -> list[Message]:
        return [message for message in self.told if message["type"] == kind]

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async for message in self.socket:
                async with self._happened:
                    self._take(message, loop.time())
                    self._happened.notify_all()
        except ConnectionClosed:
            # However it ended, the code says it.
            pass
        async with self._happened:
            self.close_code = self.socket.close_code or 1006
            self._is_over = True
            self._happened.notify_all()

    def _take(self, message: str | bytes, at_s: float) -> None:
        if isinstance(message, str):
            told = json.loads(message)
            if told["type"] == "audio":
                message = bytes(told["audio_data"])
            self.told.append(told)
        if isinstance(message, bytes):
            self.ticks += not message
            self.sound += message
            if message:
                self.pieces.append((at_s, message))


@asynccontextmanager
async def pbx(url: str) -> AsyncGenerator[Pbx]:
    """Connect; leaving the context closes with a Close frame."""
    async with connect(url, max_size=None, compression=None) as socket:
        client = Pbx(socket)
        listening = asyncio.create_task(client.listen(), name="pbx:listen")
        try:
            yield client
        finally:
            await socket.close()
            await listening


async def status_of(url: str) -> int:
    """How the handshake is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url):
            pass
    return refused.value.response.status_code
