"""How many calls one server process on one core holds, beside the same calls in plain Pipecat."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.crowd import Crowd, Window, audible_packets, talk_cycle
from bench.figures import Figure, median, print_table, show
from bench.fixed import CALLER_SAYS, REPLY, REPLY_MS, VOICE_RATE_HZ, FixedVoice
from bench.server import Server, python_module
from bench.speech import speak_all, synthesize

SUMMARY = "calls per core before packets come late, beside plain Pipecat"

LIMIT_MS = 20.0
MIN_SPOKEN_SHARE = 0.9
CALLERS_LIMIT_MS = 5.0
OTHERS_LIMIT_CORES = 0.1
WARM_UP_S = 4.0
"""Time for the first call to be heard once, and judged."""
MOST_CALLS = 40
TARGET_RATIO = 1.6

OURS, PLAIN = "bench.ours", "bench.plain"


@dataclass(frozen=True)
class Pace:
    """How thoroughly to search. ``window_s`` covers whole cycles of every caller; a thorough search
    tries disturbed windows again and looks one by one below the first number that was not held."""

    runs: int
    window_s: float
    plain_start: int
    step: int
    is_thorough: bool


THOROUGH = Pace(runs=5, window_s=24.0, plain_start=4, step=2, is_thorough=True)
QUICK = Pace(runs=1, window_s=12.0, plain_start=5, step=2, is_thorough=False)


@dataclass(frozen=True)
class Search:
    """One server's run: its idle memory and every number of calls that was tried."""

    idle_memory_mb: float
    windows: tuple[Window, ...]

    @property
    def held(self) -> int:
        """The most calls that were held; no more than the first number that was not."""
        broken = min((w.calls for w in self.windows if not is_held(w)), default=math.inf)
        return max((w.calls for w in self.windows if is_held(w) and w.calls < broken), default=0)

    def at(self, calls: int) -> Window | None:
        return next((w for w in self.windows if w.calls == calls), None)


@dataclass(frozen=True)
class Run:
    """Both servers, one after the other."""

    plain: Search
    ours: Search

    @property
    def ratio(self) -> float:
        return self.ours.held / self.plain.held if self.plain.held else math.nan

    @property
    def equal(self) -> tuple[Window, Window] | None:
        """Plain and ours at the largest number of calls that both held."""
        for window in sorted(self.plain.windows, key=lambda w: -w.calls):
            other = self.ours.at(window.calls)
            if other and is_held(window) and is_held(other):
                return window, other
        return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one coarse run, under two minutes")
    parser.add_argument("--runs", type=int, help="how often to repeat (5; 1 with --quick)")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    pace = QUICK if arguments.quick else THOROUGH
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("bench density needs two cores: one for the server, one for the callers.")
    print(f"{machine.describe()}; server on core {cores[0]}, callers on core {cores[1]}")
    os.sched_setaffinity(0, {cores[1]})
    pcm = (await synthesize(REPLY, VOICE_RATE_HZ))[: VOICE_RATE_HZ * REPLY_MS // 1000 * 2]
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder:
        voice = Path(folder) / "voice.raw"
        voice.write_bytes(pcm)
        for number in range(arguments.runs or pace.runs):
            print(f"\nrun {number + 1}")
            bench = _Bench(pace, voice, cores[0], await _cycle(), audible_packets(FixedVoice(pcm)))
            plain = await bench.search(PLAIN, pace.plain_start)
            ours = await bench.search(OURS, max(1, plain.held))
            runs.append(Run(plain, ours))
    figures = summarise(runs)
    _print(runs, figures)
    return figures


def is_held(window: Window) -> bool:
    """Whether so many calls were really held.

    The distance between packets alone does not show a server that falls behind evenly, so the
    packets must also keep to the 20 ms clock, and the agent's words must all arrive.
    """
    return (
        window.spacing_p95_ms <= LIMIT_MS
        and window.lateness_p95_ms <= LIMIT_MS
        and window.spoken_share >= MIN_SPOKEN_SHARE
    )


def is_disturbed(window: Window) -> bool:
    """Whether something else on the machine may be to blame."""
    return (
        window.others_cpu_cores > OTHERS_LIMIT_CORES
        or window.callers_late_p95_ms > CALLERS_LIMIT_MS
    )


def summarise(runs: list[Run]) -> dict[str, Figure]:
    """Medians over the runs."""
    equal = [pair for run in runs if (pair := run.equal)]
    windows = [w for run in runs for w in (*run.plain.windows, *run.ours.windows)]
    return {
        "calls_per_core": median(run.ours.held for run in runs),
        "plain_calls_per_core": median(run.plain.held for run in runs),
        "density_ratio": median(run.ratio for run in runs),
        "mb_per_call": median(
            _mb_per_call(run.ours, pair[1]) for run in runs if (pair := run.equal)
        ),
        "plain_mb_per_call": median(
            _mb_per_call(run.plain, pair[0]) for run in runs if (pair := run.equal)
        ),
        "cpu_per_call": median(ours.cpu_per_call for _, ours in equal),
        "plain_cpu_per_call": median(plain.cpu_per_call for plain, _ in equal),
        "cpu_per_call_ratio": median(p.cpu_per_call / o.cpu_per_call for p, o in equal),
        "equal_calls": median(plain.calls for plain, _ in equal),
        "callers_late_p95_ms": median(w.callers_late_p95_ms for w in windows),
        "others_cpu_cores": median(w.others_cpu_cores for w in windows),
        "runs": len(runs),
    }


def _mb_per_call(search: Search, window: Window) -> float:
    return (window.memory_mb - search.idle_memory_mb) / window.calls


async def _cycle() -> list[bytes]:
    [speech] = await speak_all([CALLER_SAYS])
    return talk_cycle(speech)


@dataclass(frozen=True)
class _Bench:
    pace: Pace
    voice: Path
    core: int
    cycle: list[bytes]
    reply_packets: int

    async def search(self, module: str, start: int) -> Search:
        """Add calls until they are no longer held, then look one by one below."""
        command = python_module(module, "--voice", str(self.voice))
        async with (
            Server(command, core=self.core) as server,
            Crowd(server, self.cycle, self.reply_packets) as crowd,
        ):
            # What only the first call loads is no call's own.
            await crowd.become(1)
            await asyncio.sleep(WARM_UP_S)
            await crowd.become(0)
            idle_mb = server.memory_mb()
            windows = [await self._try(module, crowd, start)]
            while is_held(windows[-1]) and windows[-1].calls < MOST_CALLS:
                calls = windows[-1].calls + self.pace.step
                windows.append(await self._try(module, crowd, calls))
            enough = max((w.calls for w in windows if is_held(w)), default=0)
            calls = windows[-1].calls - 1
            while calls > enough and (self.pace.is_thorough or not enough):
                windows.append(await self._try(module, crowd, calls))
                calls = enough if is_held(windows[-1]) else calls - 1
        return Search(idle_mb, tuple(windows))

    async def _try(self, module: str, crowd: Crowd, calls: int) -> Window:
        await crowd.become(calls)
        window = await crowd.measure(self.pace.window_s)
        print(_line(module, window), flush=True)
        if self.pace.is_thorough and not is_held(window) and is_disturbed(window):
            window = await crowd.measure(self.pace.window_s)
            print(_line(module, window) + "  (again)", flush=True)
        return window


def _line(module: str, window: Window) -> str:
    callers = ""
    if window.callers_late_p95_ms > CALLERS_LIMIT_MS:
        callers = f"  (the callers themselves were {window.callers_late_p95_ms:.0f} ms late)"
    return (
        f"  {module.rpartition('.')[2]:5} {window.calls:3} calls"
        f"  spacing {window.spacing_p95_ms:5.1f} ms  lateness {window.lateness_p95_ms:6.1f} ms"
        f"  spoken {window.spoken_share:4.0%}  cpu {window.cpu_share:4.0%}"
        f"  {window.memory_mb:4.0f} MB  others {window.others_cpu_cores:4.2f} cores"
        f"  {'held' if is_held(window) else 'not held'}{callers}"
    )


def _print(runs: list[Run], figures: dict[str, Figure]) -> None:
    def figure(name: str, digits: int = 0) -> str:
        value = figures[name]
        assert isinstance(value, float | int)
        return show(float(value), digits)

    rows = [
        ("calls per core", figure("calls_per_core"), figure("plain_calls_per_core")),
        ("MB per call", figure("mb_per_call", 1), figure("plain_mb_per_call", 1)),
        ("cores per call", figure("cpu_per_call", 3), figure("plain_cpu_per_call", 3)),
    ]
    print_table(f"medians of {len(runs)} runs", ("", "Parley", "plain Pipecat"), rows)
    verdict = "reached" if float(figures["density_ratio"] or 0) >= TARGET_RATIO else "missed"
    print(
        f"\n  {figure('density_ratio', 2)} times as many calls (target {TARGET_RATIO}: {verdict}); "
        f"at {figure('equal_calls')} calls plain uses {figure('cpu_per_call_ratio', 2)} times "
        "the processor time"
    )
    _warn(figures)


def _warn(figures: dict[str, Figure]) -> None:
    if float(figures["callers_late_p95_ms"] or 0) > CALLERS_LIMIT_MS:
        print("  Not to be trusted: the callers themselves were late.")
    if float(figures["others_cpu_cores"] or 0) > OTHERS_LIMIT_CORES:
        print("  Not to be trusted: other processes used this machine as well.")
