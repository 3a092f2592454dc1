"""Many callers in one process: each speaks two seconds and listens for ten, over and over."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import numpy as np

from bench import machine
from bench.caller import Caller, Punctuality
from bench.ear import lateness_ms, spacing_errors_ms
from bench.figures import percentile
from bench.fixed import VOICE_RATE_HZ, FixedVoice
from bench.server import Server
from bench.speech import (
    AUDIBLE,
    PACKET_BYTES,
    PACKET_MS,
    OpusEncoder,
    Utterance,
    packets_of,
)

CYCLE_MS = 12_000
CYCLE_PACKETS = CYCLE_MS // PACKET_MS
SETTLE_S = 3.0
JOIN_PAUSE_S = 0.25


@dataclass(frozen=True)
class Window:
    """What was measured while so many calls were up."""

    calls: int
    spacing_p95_ms: float
    lateness_p95_ms: float
    spoken_share: float
    cpu_share: float
    memory_mb: float
    callers_late_p95_ms: float
    others_cpu_cores: float

    @property
    def cpu_per_call(self) -> float:
        return self.cpu_share / self.calls


@dataclass(frozen=True)
class _Usage:
    """Processor time used up to a moment: by the server, and by whoever else is on the machine."""

    at_s: float
    server_s: float
    others_s: float

    @classmethod
    def now(cls, server: Server) -> _Usage:
        server_s, all_of_it = server.cpu_s(), machine.busy()
        others_s = all_of_it.used_s + all_of_it.stolen_s - server_s - time.process_time()
        return cls(time.monotonic(), server_s, others_s)


def talk_cycle(speech: Utterance) -> list[bytes]:
    """Twelve seconds of a caller, encoded once for all: the sentence, then silence.

    The cycle is encoded twice and the second round taken, so that its end fits its beginning.
    """
    pcm = speech.pcm.ljust(CYCLE_PACKETS * PACKET_BYTES, b"\0")
    encoder = OpusEncoder()
    return [encoder.encode(packet) for packet in packets_of(pcm * 2)][CYCLE_PACKETS:]


def audible_packets(voice: FixedVoice) -> int:
    """How many packets of the whole reply hold sound."""
    step = VOICE_RATE_HZ * PACKET_MS // 1000
    samples = np.abs(np.frombuffer(voice.pcm, dtype=np.int16))
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    return int((whole.max(axis=1) >= AUDIBLE * 32768).sum())


class Crowd:
    """The callers of one server. Leaving the context hangs all of them up."""

    def __init__(self, server: Server, cycle: list[bytes], reply_packets: int) -> None:
        self._server = server
        self._cycle = cycle
        self._reply_packets = reply_packets
        self._callers: list[tuple[Caller, AsyncExitStack]] = []
        self._joined = 0
        self._http = httpx.AsyncClient(base_url=server.url, timeout=30.0)
        self._punctuality = Punctuality()

    async def __aenter__(self) -> Crowd:
        await self._punctuality.__aenter__()
        # A collection of all objects would hold every caller up at once.
        gc.collect()
        gc.freeze()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave(len(self._callers))
        await self._punctuality.__aexit__()
        await self._http.aclose()

    async def become(self, calls: int) -> None:
        """Dial or hang up until there are so many calls, then let them settle."""
        await self._leave(len(self._callers) - calls)
        while len(self._callers) < calls:
            stack = AsyncExitStack()
            caller = await stack.enter_async_context(Caller(self._http, self._talk()))
            self._callers.append((caller, stack))
            await asyncio.sleep(JOIN_PAUSE_S)
        await asyncio.sleep(SETTLE_S)

    async def measure(self, seconds: float) -> Window:
        """Watch what arrives for so long."""
        late_from = len(self._punctuality.late_ms)
        before = _Usage.now(self._server)
        await asyncio.sleep(seconds)
        after = _Usage.now(self._server)
        took_s = after.at_s - before.at_s
        spacing: list[float] = []
        lateness: list[float] = []
        sounding = 0
        for caller, _ in self._callers:
            ear = caller.ear
            inside = [i for i, at_s in enumerate(ear.arrived_s) if before.at_s <= at_s < after.at_s]
            arrived = [ear.arrived_s[i] for i in inside]
            stamps = [ear.timestamps[i] for i in inside]
            spacing += spacing_errors_ms(arrived, stamps)
            lateness += lateness_ms(arrived, stamps)
            sounding += sum(ear.is_sound[i] for i in inside)
        expected = len(self._callers) * self._reply_packets * took_s * 1000 / CYCLE_MS
        return Window(
            calls=len(self._callers),
            spacing_p95_ms=percentile(spacing, 0.95),
            lateness_p95_ms=percentile(lateness, 0.95),
            spoken_share=sounding / expected,
            cpu_share=(after.server_s - before.server_s) / took_s,
            memory_mb=self._server.memory_mb(),
            callers_late_p95_ms=percentile(self._punctuality.late_ms[late_from:], 0.95),
            others_cpu_cores=(after.others_s - before.others_s) / took_s,
        )

    def _talk(self) -> Iterator[bytes]:
        # Each caller starts elsewhere in the cycle (the golden ratio keeps any number spread).
        start = int(self._joined * 0.618034 * CYCLE_PACKETS) % CYCLE_PACKETS
        self._joined += 1
        return itertools.islice(itertools.cycle(self._cycle), start, None)

    async def _leave(self, calls: int) -> None:
        for _ in range(calls):
            _, stack = self._callers.pop()
            await stack.aclose()
