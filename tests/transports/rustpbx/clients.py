"""RustPBX's clients, as they are: one mutex for the reader and all writers, and no manners.

Reader and writers take turns at one fair mutex. In profiles A and B the reader holds it until
something comes, so the client can send about one message for each that it gets. In profile C it
holds it for at most 100 ms, and the microphone's frames leave in bursts.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from parley.core.audio import Audio, Resampler, pcm_bytes
from tests.transports.rustpbx.grammar import Message, Unreadable, read_message
from tests.transports.rustpbx.wire import Arrived, Wire

FRAME_MS = 20
VOICE_RATE_HZ = 16_000
PING_S = 30.0
PATIENCE_S = 15.0
# Two tasks of neighbouring frames overtake each other now and then.
OVERTAKEN_SHARE = 0.01


@dataclass(frozen=True)
class Profile:
    """``read_hold_s``: how long the reader keeps the mutex while nothing comes; None is for ever.
    ``sockets``: how many it opens for the same room when a call begins."""

    name: str
    sends_binary: bool = True
    hears_binary: bool = False
    read_hold_s: float | None = None
    sockets: int = 1
    task_per_frame: bool = True
    pongs_twice: bool = False
    path: str = "/ws/rustpbx"

    def __str__(self) -> str:
        return self.name


A = Profile("A", sends_binary=False, task_per_frame=False)
A_PARALLEL = Profile("A'", sends_binary=False, sockets=3)
B = Profile("B")
C = Profile("C", hears_binary=True, read_hold_s=0.1, pongs_twice=True, path="/")
PROFILES = (A, A_PARALLEL, B, C)


@dataclass(frozen=True)
class Piece:
    """Sound that came, and when."""

    at_s: float
    pcm: bytes
    rate_hz: int


class PbxClient:
    """One call leg. ``told`` are the server's messages, ``sound`` is what would be played.

    ``made`` frames have come from the telephone, ``sent`` have left; the others wait their turn.
    """

    def __init__(self, profile: Profile, *, room_id: str = "", rate_hz: int = 16_000) -> None:
        self.profile = profile
        self.room_id = room_id or f"rustpbx_{secrets.token_hex(16)}"
        self.rate_hz = rate_hz
        self.told: list[Message] = []
        self.sound: list[Piece] = []
        self.arrived: list[tuple[float, str]] = []
        self.made = self.sent = 0
        self.close_code = 0
        self.problem: Unreadable | None = None
        self.is_over = False
        self._wire: Wire | None = None
        self._counter = asyncio.Lock()
        self._frames_counted = 0
        self._speech: asyncio.Queue[tuple[bytes, asyncio.Future[float]]] = asyncio.Queue()
        self._waiting: asyncio.Queue[tuple[bytes, asyncio.Future[float] | None]] = asyncio.Queue()
        self._is_muted = False
        self._chance = random.Random(1)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._happened = asyncio.Condition()
        self._position = 0

    # ── the connection ───────────────────────────────────────────────────────────────────

    async def connect(self, url: str) -> None:
        """Connect and begin to talk, in the profile's own order."""
        opening = (Wire.open(url) for _ in range(self.profile.sockets))
        for wire in await asyncio.gather(*opening):
            earlier, self._wire = self._wire, wire
            await self._begin(wire)
            if earlier is not None:
                # Nobody tells the server that this one isn't wanted any more.
                earlier.drop()
        self._tasks.add(asyncio.create_task(self._ping(), name="pbx:ping"))
        self._tasks.add(asyncio.create_task(self._listen_to_the_phone(), name="pbx:phone"))
        if not self.profile.task_per_frame:
            self._tasks.add(asyncio.create_task(self._send_in_order(), name="pbx:sends"))

    async def _begin(self, wire: Wire) -> None:
        if self.profile.read_hold_s is None:
            # The reader has won the race: configure leaves when the server has said something.
            self._tasks.add(asyncio.create_task(self._read(wire), name="pbx:read"))
            await asyncio.sleep(0)
            await self._configure(wire)
        else:
            await self._configure(wire)
            self._tasks.add(asyncio.create_task(self._read(wire), name="pbx:read"))

    async def _configure(self, wire: Wire) -> None:
        rate_hz = self.rate_hz
        message = {
            "command": "configure",
            "room_id": self.room_id,
            "system_prompt": None,
            "stt_config": {"sample_rate": rate_hz, "language": "en", "model": "nova"},
            "llm_config": {"model": "gpt-4o-mini", "max_tokens": 150, "temperature": 0.7},
            "tts_config": {
                "model": "aura-asteria-en",
                "sample_rate": rate_hz,
                "encoding": None if self.profile is C else "linear16",
            },
        }
        await self._write(json.dumps(message), wire)

    async def reconfigure(self, system_prompt: str) -> None:
        """As ``update_system_prompt`` does: the room and the prompt, and nothing else."""
        nothing = {f"{name}_config": None for name in ("stt", "llm", "tts")}
        await self.send(
            command="configure", room_id=self.room_id, system_prompt=system_prompt, **nothing
        )

    async def send(self, **message: Any) -> None:
        await self._write(json.dumps(message))

    def leave(self) -> None:
        """As calls end here: no goodbye, no Close frame, the socket is gone."""
        if self._wire is not None:
            self._wire.drop()
        for task in self._tasks:
            task.cancel()

    def mute(self) -> None:
        """The telephone has hung up and the socket outlives the call: nothing but pings."""
        self._is_muted = True

    async def closed(self) -> None:
        """Wait for the tasks; raise what the client couldn't read."""
        self.leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.problem is not None:
            raise self.problem

    # ── the reader ───────────────────────────────────────────────────────────────────────

    async def _read(self, wire: Wire) -> None:
        hold_s = self.profile.read_hold_s
        while True:
            arrived: Arrived | None = None
            try:
                async with wire.mutex, asyncio.timeout(hold_s):
                    arrived = await wire.next()
            except TimeoutError:
                await asyncio.sleep(0.0001)
                continue
            if wire is not self._wire:
                return
            if arrived is None or arrived.kind == "close":
                wire.drop()
                await self._note_end(arrived.code if arrived else 1006)
                return
            await self._take(arrived)
            if hold_s is not None:
                await asyncio.sleep(0.0001)

    async def _take(self, arrived: Arrived) -> None:
        now_s = time.monotonic()
        self.arrived.append((now_s, arrived.kind))
        try:
            if arrived.kind == "text":
                await self._understand(read_message(arrived.data), now_s)
            elif arrived.kind == "binary" and arrived.data:
                await self._hear_binary(arrived.data, now_s)
        except Unreadable as problem:
            self.problem = self.problem or problem
            await self._note_end(0)
        if arrived.kind == "ping" and self.profile.pongs_twice and self._wire is not None:
            await self._wire.pong(arrived.data)

    async def _understand(self, message: Message, now_s: float) -> None:
        if message["type"] == "audio":
            self._hear(bytes(message["audio_data"]), message["sample_rate"], now_s)
        async with self._happened:
            self.told.append(message)
            self._happened.notify_all()

    async def _hear_binary(self, pcm: bytes, now_s: float) -> None:
        if not self.profile.hears_binary:
            raise Unreadable(f"{len(pcm)} bytes of binary sound, which this client can't hear")
        self._hear(pcm, self.rate_hz, now_s)
        async with self._happened:
            self._happened.notify_all()

    def _hear(self, pcm: bytes, rate_hz: int, now_s: float) -> None:
        if len(pcm) % 2:
            raise Unreadable(f"{len(pcm)} bytes are no whole samples")
        self.sound.append(Piece(now_s, pcm, rate_hz))

    async def _note_end(self, code: int) -> None:
        async with self._happened:
            self.is_over = True
            self.close_code = code
            self._happened.notify_all()

    # ── the writers ──────────────────────────────────────────────────────────────────────

    async def _write(self, message: str | bytes, wire: Wire | None = None) -> None:
        wire = wire or self._wire
        assert wire is not None
        async with wire.mutex:
            with suppress(ConnectionError):
                if isinstance(message, str):
                    await wire.send_text(message)
                else:
                    await wire.send_binary(message)

    async def _ping(self) -> None:
        while True:
            await self.send(command="ping", timestamp=_now_ms())
            await asyncio.sleep(PING_S)

    async def _listen_to_the_phone(self) -> None:
        """A frame every 20 ms, of speech or of silence."""
        frame_bytes = pcm_bytes(FRAME_MS, VOICE_RATE_HZ)
        pcm, spoken = b"", None
        due_s = time.monotonic()
        while not self.is_over:
            if not pcm and not self._speech.empty():
                pcm, spoken = self._speech.get_nowait()
            frame, pcm = pcm[:frame_bytes].ljust(frame_bytes, b"\0"), pcm[frame_bytes:]
            ends = spoken if not pcm else None
            spoken = None if ends else spoken
            if not self._is_muted:
                self.made += 1
                self._hand_over(frame, ends)
            due_s += FRAME_MS / 1000
            await asyncio.sleep(due_s - time.monotonic())

    def _hand_over(self, frame: bytes, ends: asyncio.Future[float] | None) -> None:
        if not self.profile.task_per_frame:
            self._waiting.put_nowait((frame, ends))
            return
        task = asyncio.create_task(self._send_on_its_own(frame, ends), name="pbx:frame")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_in_order(self) -> None:
        while True:
            await self._send_frame(*await self._waiting.get())

    async def _send_on_its_own(self, frame: bytes, ends: asyncio.Future[float] | None) -> None:
        if self._chance.random() < OVERTAKEN_SHARE:
            await asyncio.sleep(FRAME_MS / 1000)
        await self._send_frame(frame, ends)

    async def _send_frame(self, frame: bytes, ends: asyncio.Future[float] | None) -> None:
        async with self._counter:
            self._frames_counted += 1
            await self._write(frame if self.profile.sends_binary else self._in_json(frame))
        self.sent += 1
        if ends is not None and not ends.done():
            ends.set_result(time.monotonic())

    def _in_json(self, frame: bytes) -> str:
        # `sample_rate` is the configured one, whatever the sound has.
        resampled = frame
        if self.rate_hz != VOICE_RATE_HZ:
            resampler = Resampler(VOICE_RATE_HZ, self.rate_hz)
            resampled = resampler.push(frame) + resampler.flush()
        message = {
            "command": "audio",
            "audio_data": list(resampled),
            "sample_rate": self.rate_hz,
            "channels": 1,
            "timestamp": _now_ms(),
            "frame_id": f"{self.room_id}_{self._frames_counted}",
        }
        return json.dumps(message, separators=(",", ":"))

    # ── what tests do with it ────────────────────────────────────────────────────────────

    async def speak(self, pcm: bytes) -> None:
        """Say s16le at 16 kHz; returns when the last frame of it has left."""
        spoken: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._speech.put_nowait((pcm, spoken))
        async with asyncio.timeout(Audio(pcm, VOICE_RATE_HZ).duration_ms / 1000 + PATIENCE_S):
            await spoken

    async def until(self, kind: str, **fields: Any) -> Message:
        """The next message of that type whose fields are so: text by "contains", all else by
        equality. Those before it are passed."""
        return await self._in_time(self._next(kind, fields), f"{kind} {fields}")

    async def over(self) -> int:
        """Wait until the server has closed the connection; its code."""
        await self._in_time(self._until_over(), "the end")
        return self.close_code

    async def heard(self, duration_ms: float) -> None:
        """Wait until that much more sound has come."""
        await self._in_time(self._until_heard(self.heard_ms + duration_ms), "sound")

    @property
    def heard_ms(self) -> float:
        return sum(Audio(piece.pcm, piece.rate_hz).duration_ms for piece in self.sound)

    def all(self, kind: str) -> list[Message]:
        return [message for message in self.told if message["type"] == kind]

    @property
    def types(self) -> list[str]:
        """The messages' types, but for the sound."""
        return [message["type"] for message in self.told if message["type"] != "audio"]

    async def _next(self, kind: str, fields: dict[str, Any]) -> Message:
        while True:
            async with self._happened:
                while len(self.told) <= self._position:
                    assert not self.is_over, f"closed ({self.close_code}), {self.problem}"
                    await self._happened.wait()
            message = self.told[self._position]
            self._position += 1
            if message["type"] == kind and all(_fits(message[n], v) for n, v in fields.items()):
                return message

    async def _until_over(self) -> None:
        async with self._happened:
            await self._happened.wait_for(lambda: self.is_over)

    async def _until_heard(self, total_ms: float) -> None:
        async with self._happened:
            await self._happened.wait_for(lambda: self.heard_ms >= total_ms or self.is_over)

    async def _in_time(self, what: Awaitable[Any], name: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await what
        except TimeoutError:
            told = "\n  ".join(str(message)[:160] for message in self.told[-20:])
            waits = self.made - self.sent
            raise AssertionError(
                f"{name} did not come about ({waits} frames wait to be sent) after\n  {told}"
            ) from None


@asynccontextmanager
async def pbx_call(url: str, profile: Profile, **options: Any) -> AsyncGenerator[PbxClient]:
    """Call ``ws://…``; leaving the context drops the connection, and fails if the server has
    sent anything that the client can't read."""
    client = PbxClient(profile, **options)
    try:
        await client.connect(url)
        yield client
    finally:
        await client.closed()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return wanted.casefold() in value.casefold()
    return bool(value == wanted)
