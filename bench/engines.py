"""What our side of an engine adds to its server's own answer, and how soon kept speech is heard."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import isnan
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bench import machine
from bench.asking import TEXT, first_part_ms
from bench.bare import Recorded, Tap, bare_ms
from bench.engine_servers import ENGINES, FIRST_FRAMES, TINY_SNAC, Engine
from bench.figures import Figure, median, percentile, print_table, show
from bench.latency import Promise
from bench.server import ServerFailed
from parley.core.log import setup_logging
from parley.engines.fallback.chain import Chain, Link
from parley.engines.fallback.hearing import FallbackTranscriber
from parley.engines.fallback.limits import USUAL_LIMITS
from parley.engines.fallback.member import Member
from parley.engines.fallback.speaking import fallback_speech
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.found import find_engines
from parley.engines.spec import (
    Kind,
    SpeechOptions,
)
from parley.engines.speech_cache.cache import SpeechCache
from parley.engines.speech_cache.cached import CachedSpeech
from parley.engines.tts.orpheus.snac import OnnxSnac, decode_one
from parley.testing.speech import FakeSynthesizer

SUMMARY = "what our side of each engine adds to its server's own answer"

PROMISES = (
    Promise("stt_added_p50_ms", 5),
    Promise("llm_added_p50_ms", 5),
    Promise("tts_added_p50_ms", 5),
    Promise("cache_hit_p50_ms", 5),
)
FEWEST_REQUESTS = 50
WARM_REQUESTS = 3
BETWEEN_S = 0.005
CACHE_MB = 16
OTHERS_LIMIT_CORES = 0.2


@dataclass
class Found:
    """The times of one engine: through its plain function, in a chain, and of the bare client."""

    plain_ms: list[float] = field(default_factory=list[float])
    chain_ms: list[float] = field(default_factory=list[float])
    bare_ms: list[float] = field(default_factory=list[float])

    @property
    def added_ms(self) -> float:
        return median(self.plain_ms) - median(self.bare_ms)

    @property
    def chain_added_ms(self) -> float:
        return median(self.chain_ms) - median(self.bare_ms)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--requests", type=int, default=100, help=f"to each engine; at least {FEWEST_REQUESTS}"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="engines with this in the name")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    setup_logging("WARNING")
    print(machine.describe())
    requests = max(arguments.requests, FEWEST_REQUESTS)
    found: dict[str, Found] = {}
    before, own_s, started_s = machine.busy(), _own_cpu_s(), time.monotonic()
    async with _servers() as urls:
        for engine in ENGINES:
            if arguments.only in engine.id:
                found[engine.id] = await _compare(engine, urls[engine.id], requests)
    hits = await cache_hits_ms(requests)
    others_s = machine.busy().used_s - before.used_s - (_own_cpu_s() - own_s)
    figures = summarise({engine.id: engine.kind for engine in ENGINES}, found, hits)
    figures["others_cpu_cores"] = max(others_s, 0.0) / (time.monotonic() - started_s)
    _print(found, hits, figures)
    return figures


def _own_cpu_s() -> float:
    """What this process and the servers, once they have ended, have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@asynccontextmanager
async def _servers() -> AsyncGenerator[dict[str, str]]:
    """The servers in a process of their own, so that their work is not counted as ours."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.engine_servers"), stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise ServerFailed("The engines' servers did not start.")
        yield json.loads(line)
    finally:
        process.stdin.close()
        await process.wait()


async def _compare(engine: Engine, url: str, requests: int) -> Found:
    """Ask in turns, so that whatever else the machine does meets all three alike."""
    recorded = await _record(engine, url)
    bare = _Bare(engine, url, recorded)
    found = Found()
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(_opened(engine, url))
        chained = _chain(engine, await stack.enter_async_context(_opened(engine, url)))
        for number in range(WARM_REQUESTS + requests):
            turns = [
                (found.plain_ms, partial(first_part_ms, engine.kind, plain)),
                (found.chain_ms, partial(first_part_ms, engine.kind, chained)),
                (found.bare_ms, bare.first_part_ms),
            ]
            first = number % len(turns)
            for kept, ask in turns[first:] + turns[:first]:
                took_ms = await ask()
                if number >= WARM_REQUESTS:
                    kept.append(took_ms)
                # Whatever the server still has to do for this one is done before the next.
                await asyncio.sleep(BETWEEN_S)
    return found


class _Bare:
    """The barest client of one engine's server; where codes come it decodes the first of them."""

    def __init__(self, engine: Engine, url: str, recorded: Recorded) -> None:
        port = urlsplit(url).port
        assert port is not None
        self._port = port
        self._engine = engine
        self._recorded = recorded
        self._codec = OnnxSnac(TINY_SNAC, "cpu", 1) if engine.decodes else None
        self._codes = np.ones((FIRST_FRAMES, 7), np.int64)

    async def first_part_ms(self) -> float:
        took_ms = await bare_ms(self._port, self._recorded, self._engine.answers)
        if self._codec is None:
            return took_ms
        started_s = time.perf_counter()
        decode_one(self._codec, self._codes)
        return took_ms + (time.perf_counter() - started_s) * 1000


async def _record(engine: Engine, url: str) -> Recorded:
    """What the engine sends for one request once it is warm."""
    async with Tap(url, engine.answers) as tap, _opened(engine, tap.url) as opened:
        for _ in range(WARM_REQUESTS):
            await first_part_ms(engine.kind, opened)
        tap.mark()
        await first_part_ms(engine.kind, opened, tap)
        return tap.recorded()


@asynccontextmanager
async def _opened(engine: Engine, url: str) -> AsyncGenerator[Any]:
    spec = find_engines().of(engine.kind)[engine.name]
    opened = spec.open(spec.options.model_validate({**engine.options, engine.address: url}))
    try:
        await opened.warm_up()
        yield opened
    finally:
        await opened.close()


def _chain(engine: Engine, opened: Any) -> Any:
    """The engine as a call has it."""
    link = Link(Member[Any](engine.name, opened, probe=opened.warm_up))
    chain = Chain[Any](engine.kind, [link], getattr(USUAL_LIMITS, engine.kind))
    fallbacks: Mapping[Kind, Any] = {
        "stt": FallbackTranscriber,
        "llm": FallbackChat,
        "tts": fallback_speech,
    }
    return fallbacks[engine.kind](chain)


async def cache_hits_ms(requests: int) -> list[float]:
    """From asking for kept speech to its first sound."""
    cache = SpeechCache(CACHE_MB * 1024 * 1024)
    voice = CachedSpeech(FakeSynthesizer(), "bench", cache)
    await voice.keep([TEXT], SpeechOptions())
    hits = [await first_part_ms("tts", voice) for _ in range(requests)]
    assert cache.figures.hits == requests
    await cache.close()
    return hits


def summarise(
    kinds: Mapping[str, Kind], found: Mapping[str, Found], hits: Sequence[float]
) -> dict[str, Figure]:
    """The worst engine of each kind stands for it."""
    figures: dict[str, Figure] = {}
    for kind in ("stt", "llm", "tts"):
        of_kind = [each for name, each in found.items() if kinds[name] == kind]
        nothing = [float("nan")]
        figures[f"{kind}_added_p50_ms"] = max([e.added_ms for e in of_kind] or nothing)
        figures[f"{kind}_chain_added_p50_ms"] = max([e.chain_added_ms for e in of_kind] or nothing)
    figures["cache_hit_p50_ms"] = median(hits)
    figures["cache_hit_p95_ms"] = percentile(hits, 0.95)
    for name, each in found.items():
        key = "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
        figures[f"{key}_added_p50_ms"] = each.added_ms
    figures["engines"] = len(found)
    figures["requests"] = min((len(each.plain_ms) for each in found.values()), default=0)
    return figures


def _print(
    found: Mapping[str, Found], hits: Sequence[float], figures: Mapping[str, Figure]
) -> None:
    rows = [
        (
            name,
            show(median(each.bare_ms), 2),
            show(median(each.plain_ms), 2),
            show(each.added_ms, 2),
            show(percentile(each.plain_ms, 0.95) - percentile(each.bare_ms, 0.95), 2),
            show(each.chain_added_ms, 2),
        )
        for name, each in found.items()
    ]
    head = ("engine", "server p50", "ours p50", "added p50", "added p95", "in a chain p50")
    print_table(f"ms to the first part, {figures['requests']} requests each", head, rows)
    print(f"\n  kept speech: {show(median(hits), 3)} ms to its first sound")
    print_table("promises", ("", "ms", "at most", ""), [_verdict(p, figures) for p in PROMISES])
    if warning := _warning(figures):
        print(warning)


def _warning(figures: Mapping[str, Figure]) -> str:
    others = figures["others_cpu_cores"]
    assert isinstance(others, float)
    if others <= OTHERS_LIMIT_CORES:
        return ""
    return f"  Not to be trusted: other processes used {others:.1f} cores meanwhile."


def _verdict(promise: Promise, figures: Mapping[str, Figure]) -> tuple[str, ...]:
    value = figures[promise.name]
    assert isinstance(value, float)
    kept = "kept" if value <= promise.limit_ms else "not measured" if isnan(value) else "broken"
    return promise.name, show(value, 2), show(promise.limit_ms), kept
