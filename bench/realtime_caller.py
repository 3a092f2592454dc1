"""A caller over the Realtime WebSocket: speaks from PCM and stamps what it hears on arrival."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from array import array
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.caller import CONNECT_LIMIT_S, CallFailed
from bench.heard import Heard
from bench.speech import AUDIBLE, PACKET_MS, ROOM_NOISE, Utterance
from bench.speech import RATE_HZ as SPEECH_HZ
from parley.core.audio import Resampler

RATE_HZ = 24_000
PACKET_BYTES = RATE_HZ * PACKET_MS // 1000 * 2

Event = dict[str, Any]


class DeltaEar(Heard):
    """Plays speech the moment it comes, piece behind piece, and knows when sound was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived_s = array("d")
        self._ends_s = 0.0

    @property
    def over_s(self) -> float:
        return max(self.last_sound_s, self._ends_s)

    def hear(self, pcm: bytes) -> None:
        now_s = time.monotonic()
        self.arrived_s.append(now_s)
        begins_s = max(now_s, self._ends_s)
        self._ends_s = begins_s + len(pcm) / 2 / RATE_HZ
        audible = np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16)) >= AUDIBLE * 32768)
        if len(audible):
            first, last = (begins_s + float(audible[at]) / RATE_HZ for at in (0, -1))
            self.heard(first, last)

    def piece_after(self, moment_s: float) -> float | None:
        """When the first piece after that moment came, audible or not."""
        return next((at_s for at_s in self.arrived_s if at_s > moment_s), None)


class RealtimeCaller:
    """One call; entering the context connects and opens the microphone, leaving hangs up."""

    def __init__(self, url: str, agent: str) -> None:
        self._url = f"{url.replace('http', 'ws', 1)}/v1/realtime?model=agent:{agent}"
        self.ear = DeltaEar()
        self.events: list[Event] = []
        self.dialled_s = 0.0
        self.late_ms = array("d")
        self._news = asyncio.Event()
        self._waiting: deque[tuple[bytes, asyncio.Future[float] | None]] = deque()
        self._room = np.random.default_rng(1)
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> RealtimeCaller:
        self.dialled_s = time.monotonic()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                self._socket = await connect(self._url, max_size=None, compression=None)
        except (OSError, TimeoutError) as error:
            raise CallFailed(f"{self._url} can't be called: {error}") from error
        hearing = {"transcription": {"model": "bench"}}
        session = {"type": "realtime", "audio": {"input": hearing}}
        await self._send({"type": "session.update", "session": session})
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._socket is not None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    async def say(self, speech: Utterance) -> float:
        """Say it; when the packet that ends with its last audible sample was sent."""
        resampler = Resampler(SPEECH_HZ, RATE_HZ)
        pcm = resampler.push(speech.pcm) + resampler.flush()
        sent: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        for number, at in enumerate(range(0, len(pcm), PACKET_BYTES)):
            packet = pcm[at : at + PACKET_BYTES].ljust(PACKET_BYTES, b"\0")
            self._waiting.append((packet, sent if number == speech.last_packet else None))
        return await sent

    async def event(self, kind: str, position: int, limit_s: float) -> Event | None:
        """The first event of that type from ``position`` on; None if it does not come in time."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    for event in self.events[position:]:
                        if event["type"] == kind:
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None

    async def _listen(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            event: Event = json.loads(message)
            if event["type"] == "response.output_audio.delta":
                self.ear.hear(base64.b64decode(event["delta"]))
                continue
            self.events.append(event)
            self._news.set()

    async def _speak(self) -> None:
        due_s = time.monotonic()
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                packet, sent = self._waiting.popleft() if self._waiting else (b"", None)
                sound = base64.b64encode(self._noisy(packet)).decode("ascii")
                await self._send({"type": "input_audio_buffer.append", "audio": sound})
                now_s = time.monotonic()
                self.late_ms.append((now_s - due_s) * 1000)
                if sent is not None and not sent.done():
                    sent.set_result(now_s)
                due_s += PACKET_MS / 1000

    def _noisy(self, packet: bytes) -> bytes:
        """A microphone is never digitally silent."""
        samples = np.frombuffer(packet.ljust(PACKET_BYTES, b"\0"), np.int16)
        noise = self._room.normal(0.0, ROOM_NOISE * 32768, len(samples))
        return np.clip(samples + np.rint(noise), -32768, 32767).astype(np.int16).tobytes()

    async def _send(self, event: Event) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(event))
