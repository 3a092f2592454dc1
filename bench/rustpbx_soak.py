"""Calls for ten minutes, one after another and several at once: what the server holds stays the
same."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import latency
from bench.figures import Figure, median, percentile, print_table
from bench.latency import Found, Promise
from bench.rustpbx_caller import Profile, RustPbxCaller
from bench.rustpbx_pacing import Paced
from bench.rustpbx_turns import be_greeted, take_turn
from bench.server import Server, ServerFailed
from bench.speech import Utterance, speak_all

AT_ONCE = 2
TURNS_A_CALL = 2
# More than come afterwards: what grows with the crowd (pools, buffers, caches) has grown then.
WARM_UP_AT_ONCE = 6
WARM_UP_ROUNDS = 2
# What has a bound (the database's pages, for one) takes some forty calls to reach it.
WARM_UP_SHARE = 0.5
# Whose answers are the same at any time: new ones are kept by the speech cache, as they should be.
SENTENCES = latency.SENTENCES[:5]
SAMPLE_EVERY_S = 5.0
REST_LIMIT_S = 30.0
RESTING_S = 3.0
_ASKED_LIMIT_S = 5.0
# The database's pool keeps up to five connections, opened when that many are first needed at once.
_POOLED = "parley.db"

PROMISES = (
    Promise("soak_growth_mb", 5),
    Promise("soak_growth_tasks", 0),
    Promise("soak_growth_files", 0),
)


@dataclass(frozen=True)
class Held:
    """What the server holds at one moment: ``tasks`` of its event loop, what it has ``opened``.

    ``pooled``: the database's files, which are bounded and not counted among the others.
    """

    mb: float
    tasks: int
    opened: Sequence[str] = field(repr=False)

    @property
    def pooled(self) -> int:
        return sum(_POOLED in each for each in self.opened)

    @property
    def files(self) -> int:
        return len(self.opened) - self.pooled


@dataclass
class Soak:
    """``rested_before`` and ``rested_after``: with no call. ``mb``: memory, in the middle of it."""

    rested_before: Held
    rested_after: Held
    mb: Sequence[float]

    @property
    def growth_mb(self) -> float:
        """The last third of the time against the first: calls come and go, so medians."""
        third = len(self.mb) // 3
        return median(self.mb[len(self.mb) - third :]) - median(self.mb[:third])

    def figures(self) -> dict[str, Figure]:
        before, after = self.rested_before, self.rested_after
        return {
            "soak_growth_mb": self.growth_mb,
            "soak_growth_tasks": float(after.tasks - before.tasks),
            "soak_growth_files": float(after.files - before.files),
            "soak_rested_before_mb": before.mb,
            "soak_rested_after_mb": after.mb,
            "soak_tasks": before.tasks,
            "soak_files": before.files,
            "soak_database_files_before": before.pooled,
            "soak_database_files_after": after.pooled,
        }


class _Watched:
    """The server, with what it holds."""

    def __init__(self, server: Server, file: Path) -> None:
        self._server = server
        self._file = file

    async def held(self) -> Held:
        self._file.unlink(missing_ok=True)
        os.kill(self._server.pid, signal.SIGUSR2)
        end_s = time.monotonic() + _ASKED_LIMIT_S
        while not self._file.exists():
            if time.monotonic() > end_s:
                raise ServerFailed("The server does not say how many tasks it has.")
            # A file in another process's hands gives nothing to wait on but the clock.
            await asyncio.sleep(0.05)
        return Held(self._server.memory_mb(), int(self._file.read_text()), self._opened())

    def _opened(self) -> list[str]:
        """What each open file is."""
        opened: list[str] = []
        for each in Path(f"/proc/{self._server.pid}/fd").iterdir():
            # One that is closed while they are listed is open no more.
            with suppress(FileNotFoundError):
                opened.append(str(each.readlink()))
        return opened

    async def at_rest(self) -> Held:
        """What it holds when that doesn't change any more."""
        held, since_s = await self.held(), time.monotonic()
        end_s = since_s + REST_LIMIT_S
        while time.monotonic() < min(end_s, since_s + RESTING_S):
            await asyncio.sleep(0.5)
            now = await self.held()
            if (now.tasks, now.files) != (held.tasks, held.files):
                since_s = time.monotonic()
            held = now
        return held


async def measure_soak(profile: Profile, minutes: int) -> dict[str, Figure]:
    speeches = await speak_all(list(SENTENCES))
    found, paced = Found(), Paced()
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder) / "tasks"
        command = [sys.executable, "-m", "bench.watched", str(tasks), "serve", "--port", "{port}"]
        # Those who have dropped their connection are waited for a little.
        places = {"PARLEY_MAX_CALLS": str(3 * WARM_UP_AT_ONCE)}
        environment = latency.environment(folder) | places
        async with Server(command, environment=environment) as server:
            watched = _Watched(server, tasks)
            for _ in range(WARM_UP_ROUNDS):
                await _calls_until(
                    0.0, server, profile, speeches, Found(), Paced(), at_once=WARM_UP_AT_ONCE
                )
            warm_s = time.monotonic() + minutes * 60 * WARM_UP_SHARE
            await _calls_until(warm_s, server, profile, speeches, Found(), Paced())
            before = await watched.at_rest()
            print(f"  at rest: {before}", flush=True)
            end_s = time.monotonic() + minutes * 60
            calling = asyncio.create_task(
                _calls_until(end_s, server, profile, speeches, found, paced)
            )
            mb = await _sample(calling, server)
            after = await watched.at_rest()
            print(f"  at rest: {after}; new: {Counter(after.opened) - Counter(before.opened)}")
            soak = Soak(before, after, mb)
    figures = soak.figures() | paced.figures("soak_") | _totals(found, minutes)
    _print(figures)
    return figures


async def _calls_until(
    end_s: float,
    server: Server,
    profile: Profile,
    speeches: Sequence[Utterance],
    found: Found,
    paced: Paced,
    *,
    at_once: int = AT_ONCE,
) -> None:
    """Callers who call again and again; each of them at least once."""

    async def call_again(first: int) -> None:
        number = first
        while True:
            async with RustPbxCaller(server.url, "receptionist", profile) as caller:
                await be_greeted(caller, found)
                for turn in range(TURNS_A_CALL):
                    speech = speeches[(number + turn) % len(speeches)]
                    found.turns.append(await take_turn(caller, speech))
            paced.add(caller.ear)
            found.caller_late_ms += caller.late_ms
            number += TURNS_A_CALL
            if time.monotonic() >= end_s:
                return

    async with asyncio.TaskGroup() as tasks:
        for first in range(at_once):
            tasks.create_task(call_again(first))


async def _sample(calling: asyncio.Task[None], server: Server) -> list[float]:
    mb: list[float] = []
    while not calling.done():
        await asyncio.wait([calling], timeout=SAMPLE_EVERY_S)
        mb.append(server.memory_mb())
        if len(mb) % 12 == 0:
            print(f"  {len(mb) * SAMPLE_EVERY_S / 60:.0f} min: {mb[-1]:.1f} MB", flush=True)
    await calling
    return mb


def _totals(found: Found, minutes: int) -> dict[str, Figure]:
    silent = sum(not turn.is_answered for turn in found.turns)
    return {
        "soak_minutes": minutes,
        "soak_calls": len(found.greetings_ms),
        "soak_turns": len(found.turns),
        "soak_unanswered_share": silent / len(found.turns),
        "soak_caller_late_p95_ms": percentile(found.caller_late_ms, 0.95),
        "soak_caller_late_max_ms": max(found.caller_late_ms),
    }


def _print(figures: dict[str, Figure]) -> None:
    title = f"{figures['soak_minutes']} minutes, {figures['soak_calls']} calls"
    rows = [latency.verdict(each, figures) for each in PROMISES]
    print_table(title, ("growth", "", "at most", ""), rows)
