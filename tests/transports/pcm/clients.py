"""The two ways in which RustPBX dials out to a PCM socket: ``voip_bridge`` and MediaPass."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from parley.core.audio import Audio, Resampler, pcm_bytes
from tests.transports.rustpbx.wire import Wire

VOICE_RATE_HZ = 16_000
FRAME_MS = 20
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Way:
    """``sends_hz``, ``plays_hz``: the rates that its operator has set. ``packet_bytes`` 0 is one
    RTP packet's sound, 20 ms."""

    name: str
    sends_hz: int = 8000
    plays_hz: int = 8000
    packet_bytes: int = 0
    knows_keys: bool = False

    def __str__(self) -> str:
        return self.name

    def dials(self, url: str) -> str:
        """The address that it makes of its operator's."""
        if self.knows_keys:
            # ``samplerate`` is meant for the PBX; it is not passed on.
            return url
        packet_bytes = self.packet_bytes or 2560
        return f"{url}?sample_rate={self.sends_hz}&packet_size={packet_bytes}"


VOIP_BRIDGE = Way("voip_bridge", knows_keys=True)
VOIP_BRIDGE_WIDE = Way("voip_bridge 16 kHz", 16_000, 16_000, knows_keys=True)
MEDIA_PASS = Way("MediaPass", 16_000, 16_000, packet_bytes=2560)
WAYS = (VOIP_BRIDGE, VOIP_BRIDGE_WIDE, MEDIA_PASS)


@dataclass(frozen=True)
class Chunk:
    at_s: float
    pcm: bytes


class PcmClient:
    """One bridge. ``heard`` is the sound that came and ``keys`` the digits."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.heard: list[Chunk] = []
        self.keys = ""
        self.close_code = 0
        self.is_over = False
        self._wire: Wire | None = None
        self._speech: asyncio.Queue[tuple[bytes, asyncio.Future[None]]] = asyncio.Queue()
        self._is_silent = False
        self._tasks: list[asyncio.Task[None]] = []
        self._happened = asyncio.Condition()

    async def connect(self, url: str) -> None:
        self._wire = await Wire.open(self.way.dials(url))
        self._tasks = [
            asyncio.create_task(self._read(self._wire), name="pcm:read"),
            asyncio.create_task(self._send(self._wire), name="pcm:send"),
        ]

    def leave(self) -> None:
        """The call is over: the PBX drops the connection."""
        if self._wire is not None:
            self._wire.drop()
        for task in self._tasks:
            task.cancel()

    async def closed(self) -> None:
        self.leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fall_silent(self) -> None:
        """No more packets come from the telephone, and the socket stays."""
        self._is_silent = True

    async def speak(self, pcm: bytes) -> None:
        """Say s16le at 16 kHz; returns when the last packet of it has left."""
        resampler = Resampler(VOICE_RATE_HZ, self.way.sends_hz)
        spoken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._speech.put_nowait((resampler.push(pcm) + resampler.flush(), spoken))
        async with asyncio.timeout(Audio(pcm, VOICE_RATE_HZ).duration_ms / 1000 + PATIENCE_S):
            await spoken

    async def press(self, digit: str) -> None:
        """The caller presses a key."""
        await self.say_text(json.dumps({"type": "dtmf", "digit": digit, "leg_id": "caller"}))

    async def say_text(self, text: str) -> None:
        assert self._wire is not None
        await self._wire.send_text(text)

    async def send_raw(self, data: bytes) -> None:
        assert self._wire is not None
        with suppress(ConnectionError):
            await self._wire.send_binary(data)

    @property
    def heard_ms(self) -> float:
        return sum(Audio(chunk.pcm, self.way.plays_hz).duration_ms for chunk in self.heard)

    async def hears(self, duration_ms: float) -> None:
        """Wait until so much has been heard in all."""
        await self._in_time(self._until(lambda: self.heard_ms >= duration_ms), "sound")

    async def gets_keys(self, count: int) -> str:
        await self._in_time(self._until(lambda: len(self.keys) >= count), "keys")
        return self.keys

    async def over(self) -> int:
        """Wait until the server has closed the connection; its code."""
        await self._in_time(self._until(lambda: self.is_over), "the end")
        return self.close_code

    async def _read(self, wire: Wire) -> None:
        while (arrived := await wire.next()) is not None and arrived.kind != "close":
            async with self._happened:
                if arrived.kind == "binary":
                    assert len(arrived.data) % 2 == 0, "half a sample"
                    self.heard.append(Chunk(time.monotonic(), arrived.data))
                elif arrived.kind == "text" and self.way.knows_keys:
                    message: dict[str, Any] = json.loads(arrived.data)
                    assert message["type"] == "dtmf", message
                    self.keys += message["digit"]
                self._happened.notify_all()
        wire.drop()
        async with self._happened:
            self.is_over = True
            self.close_code = arrived.code if arrived else 1006
            self._happened.notify_all()

    async def _send(self, wire: Wire) -> None:
        """The telephone's sound, a packet when it is full."""
        frame_bytes = pcm_bytes(FRAME_MS, self.way.sends_hz)
        packet_bytes = self.way.packet_bytes or frame_bytes
        packet, pcm, spoken = b"", b"", None
        due_s = time.monotonic()
        with suppress(ConnectionError):
            while not self.is_over:
                if not pcm and not self._speech.empty():
                    pcm, spoken = self._speech.get_nowait()
                frame, pcm = pcm[:frame_bytes].ljust(frame_bytes, b"\0"), pcm[frame_bytes:]
                packet += b"" if self._is_silent else frame
                while len(packet) >= packet_bytes:
                    await wire.send_binary(packet[:packet_bytes])
                    packet = packet[packet_bytes:]
                if spoken is not None and not pcm:
                    spoken.set_result(None)
                    spoken = None
                due_s += FRAME_MS / 1000
                await asyncio.sleep(due_s - time.monotonic())

    async def _until(self, holds: Any) -> None:
        async with self._happened:
            await self._happened.wait_for(lambda: holds() or self.is_over)
        assert holds(), f"closed with {self.close_code}"

    async def _in_time(self, what: Awaitable[None], name: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await what
        except TimeoutError:
            raise AssertionError(f"{name} did not come; {self.heard_ms} ms were heard") from None


@asynccontextmanager
async def pcm_call(url: str, way: Way) -> AsyncGenerator[PcmClient]:
    """The PBX is told to bridge a call to ``url``; leaving the context hangs up."""
    client = PcmClient(way)
    try:
        await client.connect(url)
        yield client
    finally:
        await client.closed()
