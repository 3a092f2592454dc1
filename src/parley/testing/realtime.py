"""A caller over the Realtime WebSocket: speaks and listens in real time, as a good client does."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from parley.core.audio import Audio, Resampler, pcm_bytes

RATE_HZ = 24_000
VOICE_RATE_HZ = 16_000
PACKET_MS = 20

ServerEvent = dict[str, Any]


@dataclass
class _Piece:
    """A stretch of an item's speech and when it is played."""

    item_id: str
    pcm: bytes
    starts_s: float

    @property
    def ends_s(self) -> float:
        return self.starts_s + Audio(self.pcm, RATE_HZ).duration_ms / 1000

    def played_by(self, moment_s: float) -> bytes:
        played_ms = max(0.0, (moment_s - self.starts_s) * 1000)
        return self.pcm[: pcm_bytes(played_ms, RATE_HZ)]


@dataclass
class Loudspeaker:
    """Plays speech as soon as it comes and one piece after the other, by the clock."""

    pieces: list[_Piece] = field(default_factory=list[_Piece])
    _cut: set[str] = field(default_factory=set[str])

    def add(self, item_id: str, pcm: bytes) -> None:
        """What still comes of an item that was cut off is not played."""
        if item_id in self._cut:
            return
        now_s = time.monotonic()
        starts_s = max(now_s, self.pieces[-1].ends_s) if self.pieces else now_s
        self.pieces.append(_Piece(item_id, pcm, starts_s))

    def stop(self) -> dict[str, int]:
        """Fall silent. Of every item that wasn't played to its end: how much was, in ms."""
        now_s = time.monotonic()
        cut = {piece.item_id for piece in self.pieces if piece.ends_s > now_s}
        self._cut |= cut
        for piece in self.pieces:
            piece.pcm = piece.played_by(now_s)
        return {item_id: round(self.played_ms(item_id)) for item_id in sorted(cut)}

    def played_ms(self, item_id: str) -> float:
        now_s = time.monotonic()
        played = (p.played_by(now_s) for p in self.pieces if p.item_id == item_id)
        return sum(Audio(pcm, RATE_HZ).duration_ms for pcm in played)

    def heard(self) -> bytes:
        """What has been played so far, without the pauses."""
        now_s = time.monotonic()
        return b"".join(piece.played_by(now_s) for piece in self.pieces)


class RealtimeCaller:
    """One client. The microphone is always on; ``told`` is every event of the server.

    When the server hears its user speak, it stops playing and tells how much was heard.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.told: list[ServerEvent] = []
        self.loudspeaker = Loudspeaker()
        self._socket = socket
        self._speech: asyncio.Queue[tuple[bytes, asyncio.Future[None]]] = asyncio.Queue()
        self._has_left = asyncio.Event()
        self._happened = asyncio.Condition()

    def leave(self) -> None:
        """Close the connection."""
        self._has_left.set()

    async def speak(self, pcm: bytes) -> None:
        """Say s16le at 16 kHz; returns when the last sound has been sent."""
        resampler = Resampler(VOICE_RATE_HZ, RATE_HZ)
        spoken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._speech.put_nowait((resampler.push(pcm) + resampler.flush(), spoken))
        await spoken

    async def send(self, type: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": type, **fields}))

    async def until(self, type: str, *, count: int = 1) -> ServerEvent:
        """The ``count``-th event of that type, past or to come."""
        async with self._happened:
            while True:
                found = [event for event in self.told if event["type"] == type]
                if len(found) >= count:
                    return found[count - 1]
                await self._happened.wait()

    async def run(self) -> None:
        """Be in the call until either side ends it."""
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._send_sound(), name="caller:microphone"),
            asyncio.create_task(self._has_left.wait(), name="caller:leaves"),
            asyncio.create_task(self._listen(), name="caller:ear"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._socket.close()

    async def _listen(self) -> None:
        async for message in self._socket:
            event: ServerEvent = json.loads(message)
            await self._react(event)
            async with self._happened:
                self.told.append(event)
                self._happened.notify_all()

    async def _react(self, event: ServerEvent) -> None:
        if event["type"] == "response.output_audio.delta":
            self.loudspeaker.add(event["item_id"], base64.b64decode(event["delta"]))
        elif event["type"] == "input_audio_buffer.speech_started":
            for item_id, played_ms in self.loudspeaker.stop().items():
                await self.send(
                    "conversation.item.truncate",
                    item_id=item_id,
                    content_index=0,
                    audio_end_ms=played_ms,
                )

    async def _send_sound(self) -> None:
        packet_bytes = pcm_bytes(PACKET_MS, RATE_HZ)
        pcm, spoken = b"", None
        next_s = time.monotonic()
        with suppress(ConnectionClosed):
            while True:
                if not pcm and not self._speech.empty():
                    pcm, spoken = self._speech.get_nowait()
                packet, pcm = pcm[:packet_bytes].ljust(packet_bytes, b"\0"), pcm[packet_bytes:]
                sound = base64.b64encode(packet).decode("ascii")
                await self.send("input_audio_buffer.append", audio=sound)
                if spoken and not pcm:
                    spoken.set_result(None)
                    spoken = None
                next_s += PACKET_MS / 1000
                await asyncio.sleep(next_s - time.monotonic())


@asynccontextmanager
async def realtime_call(url: str, **options: Any) -> AsyncGenerator[RealtimeCaller]:
    """Call ``ws://…/v1/realtime?model=agent:NAME``; leaving the context leaves the call.

    ``options`` go to ``websockets``' client: headers, subprotocols, TLS.
    """
    async with connect(url, max_size=None, compression=None, **options) as socket:
        caller = RealtimeCaller(socket)
        running = asyncio.create_task(caller.run(), name="caller")
        try:
            yield caller
        finally:
            caller.leave()
            await running
