"""A caller behind RustPBX: one mutex for reader and writers, JSON sound or binary, every piece
stamped on arrival."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from array import array
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.caller import CONNECT_LIMIT_S, CallFailed
from bench.heard import Heard
from bench.speech import AUDIBLE, PACKET_MS, ROOM_NOISE, Utterance
from bench.speech import RATE_HZ as SPEECH_HZ
from parley.core.audio import Resampler

RATE_HZ = 16_000
PACKET_BYTES = RATE_HZ * PACKET_MS // 1000 * 2
GOODBYE_LIMIT_S = 5.0

Message = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """``read_hold_s``: how long the reader keeps the mutex while nothing comes; None is for
    ever."""

    sends_binary: bool
    read_hold_s: float | None


PROFILES = {
    "a": Profile(sends_binary=False, read_hold_s=None),
    "b": Profile(sends_binary=True, read_hold_s=None),
    "c": Profile(sends_binary=True, read_hold_s=0.1),
}


class PieceEar(Heard):
    """Plays each piece the moment it comes, as the PBX does. ``utterances`` has, for each, the
    moments at which its pieces came."""

    def __init__(self) -> None:
        super().__init__()
        self.utterances: list[array[float]] = []
        self.wrong_pieces = 0
        """Pieces that don't last 20 ms."""

    def begin_utterance(self) -> None:
        self.utterances.append(array("d"))

    def hear(self, pcm: bytes, now_s: float) -> None:
        if not self.utterances:
            self.begin_utterance()
        self.utterances[-1].append(now_s)
        self.wrong_pieces += len(pcm) != PACKET_BYTES
        audible = np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16)) >= AUDIBLE * 32768)
        if len(audible):
            self.heard(*(now_s + float(audible[at]) / RATE_HZ for at in (0, -1)))


class RustPbxCaller:
    """One call; entering the context connects, leaving drops the connection without a word.

    ``events`` are the server's messages but for the sound.
    """

    def __init__(self, url: str, agent: str, profile: Profile) -> None:
        self._url = f"{url.replace('http', 'ws', 1)}/ws/rustpbx?agent={agent}"
        self._profile = profile
        self.ear = PieceEar()
        self.events: list[Message] = []
        self.dialled_s = 0.0
        self.late_ms = array("d")
        self.most_waiting = 0
        """How many frames of the telephone waited for their turn, at worst."""
        self._frames = 0
        self._room_id = f"rustpbx_{secrets.token_hex(16)}"
        self._mutex = asyncio.Lock()
        self._news = asyncio.Event()
        self._speech: deque[tuple[bytes, asyncio.Future[float] | None]] = deque()
        self._unsent: asyncio.Queue[bytes] = asyncio.Queue()
        self._noise = np.random.default_rng(1)
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> RustPbxCaller:
        self.dialled_s = time.monotonic()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                self._socket = await connect(self._url, max_size=None, compression=None)
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise CallFailed(f"{self._url} can't be called: {error}") from error
        work = (self._read(), self._send(), self._listen_to_the_phone())
        self._tasks = [asyncio.create_task(each) for each in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._socket is not None
        self._socket.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                await self._socket.wait_closed()

    async def say(self, speech: Utterance) -> float:
        """Say it; when the telephone had the packet that ends with its last audible sample."""
        resampler = Resampler(SPEECH_HZ, RATE_HZ)
        pcm = resampler.push(speech.pcm) + resampler.flush()
        said: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        for number, at in enumerate(range(0, len(pcm), PACKET_BYTES)):
            packet = pcm[at : at + PACKET_BYTES].ljust(PACKET_BYTES, b"\0")
            self._speech.append((packet, said if number == speech.last_packet else None))
        return await said

    async def event(self, kind: str, position: int, limit_s: float, **fields: Any) -> bool:
        """Whether such a message comes in time, from ``position`` on."""
        try:
            async with asyncio.timeout(limit_s):
                while not self.find(kind, position, **fields):
                    self._news.clear()
                    await self._news.wait()
                return True
        except TimeoutError:
            return False

    def find(self, kind: str, position: int, **fields: Any) -> list[Message]:
        """The messages of that type, from ``position`` on, whose fields are so."""
        return [
            event
            for event in self.events[position:]
            if event["type"] == kind and all(event[name] == fields[name] for name in fields)
        ]

    # ── the reader ───────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        socket, hold_s = self._socket, self._profile.read_hold_s
        assert socket is not None
        with suppress(ConnectionClosed):
            while True:
                try:
                    async with self._mutex, asyncio.timeout(hold_s):
                        received = await socket.recv()
                except TimeoutError:
                    await asyncio.sleep(0.0001)
                    continue
                if isinstance(received, str):
                    self._take(json.loads(received), time.monotonic())

    def _take(self, message: Message, now_s: float) -> None:
        if message["type"] == "audio":
            self.ear.hear(bytes(message["audio_data"]), now_s)
            return
        if message["type"] == "tts_started":
            self.ear.begin_utterance()
        self.events.append(message)
        self._news.set()

    # ── the writers ──────────────────────────────────────────────────────────────────────

    async def _write(self, message: str | bytes) -> None:
        assert self._socket is not None
        async with self._mutex:
            await self._socket.send(message)

    async def _send(self) -> None:
        with suppress(ConnectionClosed):
            parts = {"stt_config": None, "llm_config": None, "tts_config": None}
            room = {"command": "configure", "room_id": self._room_id, "system_prompt": None}
            await self._write(json.dumps(room | parts))
            while True:
                frame = await self._unsent.get()
                self._frames += 1
                await self._write(frame if self._profile.sends_binary else self._in_json(frame))

    async def _listen_to_the_phone(self) -> None:
        due_s = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            packet, said = self._speech.popleft() if self._speech else (b"", None)
            now_s = time.monotonic()
            self._unsent.put_nowait(self._noisy(packet))
            self.most_waiting = max(self.most_waiting, self._unsent.qsize())
            self.late_ms.append((now_s - due_s) * 1000)
            if said is not None and not said.done():
                said.set_result(now_s)
            due_s += PACKET_MS / 1000

    def _noisy(self, packet: bytes) -> bytes:
        """A microphone is never digitally silent."""
        samples = np.frombuffer(packet.ljust(PACKET_BYTES, b"\0"), np.int16)
        noise = self._noise.normal(0.0, ROOM_NOISE * 32768, len(samples))
        return np.clip(samples + np.rint(noise), -32768, 32767).astype(np.int16).tobytes()

    def _in_json(self, frame: bytes) -> str:
        sound = {
            "command": "audio",
            "audio_data": list(frame),
            "sample_rate": RATE_HZ,
            "channels": 1,
            "timestamp": time.time_ns() // 1_000_000,
            "frame_id": f"{self._room_id}_{self._frames}",
        }
        return json.dumps(sound, separators=(",", ":"))
