"""Measures what Parley adds to the time that a webhook takes itself, and books under kills.

In the usual form a tool is used as calls use it: the toolbelt writes the run down, signs, asks a
workflow in a process of its own, reads the answer and tells the bus. The workflow says how long it
took itself; the rest is overhead. With ``--kills`` many callers book while Parley is killed at
random: every slot must be booked exactly once, and be on record.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.bookings import (
    SECRET,
    BookingsWrong,
    Killer,
    Parley,
    book_until_done,
    judge,
)
from bench.figures import Figure, median, percentile, print_table, show
from bench.server import Server, python_module
from bench.workflow import MOODS, Workflow, running_workflow
from parley.core.log import quiet_until_set_up, setup_logging

SUMMARY = "what Parley adds to a webhook's own time; with --kills, bookings while it is killed"
PROMISED_OVERHEAD_MS = 15.0
OWN_MS = 40.0
PAUSE_S = 0.2
AT_ONCE = 8
CALLERS = 4
WARM_UP = 5
RECORD_LIMIT_S = 90.0

Once = Callable[[int], Awaitable[float]]
"""``await once(number)``: the overhead of one use, in milliseconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=200, help="uses in each row")
    parser.add_argument("--quick", action="store_true", help="a fifth of that")
    parser.add_argument("--kills", action="store_true", help="book while Parley is killed")
    parser.add_argument("--bookings", type=int, default=100, help="how many, with --kills")
    parser.add_argument("--most-kills", type=int, default=12, help="how often at most")
    parser.add_argument("--seed", type=int, default=1, help="of the kills and moods")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    setup_logging("ERROR")
    print(machine.describe())
    if arguments.kills:
        bookings = arguments.bookings // (5 if arguments.quick else 1)
        return await _book(bookings, arguments.most_kills, arguments.seed)
    requests = max(AT_ONCE, arguments.requests // (5 if arguments.quick else 1))
    command = python_module("bench.workflow", "--secret", SECRET, "--own-ms", f"{OWN_MS:g}")
    async with Server(command, ready_path="/") as workflow:
        rows = await _use(f"{workflow.url}/book", requests)
    figures = summarise(rows)
    _print(rows, figures)
    return figures


async def _use(url: str, requests: int) -> dict[str, list[float]]:
    # Pipecat comes with it: a second that no other bench should wait for.
    quiet_until_set_up()
    from bench.tool_uses import bare, used

    async with used(url) as tool:
        rows = {
            "paused": await _one_by_one(tool.once, requests, PAUSE_S),
            "in_a_row": await _one_by_one(tool.once, requests, 0.0),
            "at_once": await _together(tool.once, requests),
        }
    async with bare(url) as client:
        return {**rows, "bare": await _one_by_one(client.once, requests, PAUSE_S)}


async def _one_by_one(once: Once, requests: int, pause_s: float) -> list[float]:
    taken: list[float] = []
    for number in range(1, WARM_UP + requests + 1):
        taken.append(await once(number))
        # People speak between two uses of a tool.
        await asyncio.sleep(pause_s)
    return taken[WARM_UP:]


async def _together(once: Once, requests: int) -> list[float]:
    taken: list[float] = []
    while len(taken) < requests:
        taken += await asyncio.gather(*(once(number) for number in range(AT_ONCE)))
    return taken


def summarise(rows: Mapping[str, Sequence[float]]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"own_ms": OWN_MS}
    for name, taken_ms in rows.items():
        figures[f"{name}_overhead_p50_ms"] = round(median(taken_ms), 3)
        figures[f"{name}_overhead_p95_ms"] = round(percentile(taken_ms, 0.95), 3)
    figures["overhead_p50_ms"] = figures["paused_overhead_p50_ms"]
    figures["requests"] = len(rows["paused"])
    return figures


_NAMES = {
    "paused": "one use each 0.2 s",
    "in_a_row": "one use after another",
    "at_once": f"{AT_ONCE} uses at once",
    "bare": "an HTTP client alone, each 0.2 s",
}


def _print(rows: Mapping[str, Sequence[float]], figures: Mapping[str, Figure]) -> None:
    lines = [
        (
            _NAMES[name],
            show(min(taken), 1, " ms"),
            show(median(taken), 1, " ms"),
            show(percentile(taken, 0.95), 1, " ms"),
            show(PROMISED_OVERHEAD_MS, 0, " ms") if name == "paused" else "",
        )
        for name, taken in rows.items()
    ]
    head = ("beyond the webhook's own time", "min", "median", "p95", "promise")
    print_table(f"tools ({figures['requests']} uses a row)", head, lines)


async def _book(bookings: int, most_kills: int, seed: int) -> dict[str, Figure]:
    chance = random.Random(seed)
    workflow = Workflow(SECRET, mood=lambda: chance.choice(MOODS))
    wanted = range(1, bookings + 1)
    with tempfile.TemporaryDirectory(prefix="bench-kills-") as folder:
        async with running_workflow(workflow):
            parley = Parley(Path(folder), workflow.url)
            parley.prepare()
            await parley.start()
            try:
                async with Killer(parley, random.Random(seed + 1), most_kills):
                    tries = await _callers(parley, workflow, wanted)
                await workflow.callbacks_done()
                runs = await _closed_runs(parley)
            finally:
                await parley.stop()
    verdict = judge(wanted, workflow.rows, runs)
    figures: dict[str, Figure] = {
        "bookings": bookings,
        "rows": len(workflow.rows),
        "kills": parley.kills,
        "asked": sum(tries),
        "requests": len(workflow.asked),
        **{f"runs_{state}": count for state, count in sorted(verdict.states.items())},
        "answers_sent_later": len(workflow.delivered),
        "problems": len(verdict.problems),
    }
    rows = [(name.replace("_", " "), str(value)) for name, value in figures.items()]
    print_table(f"tools --kills (seed {seed})", ("", ""), rows)
    if verdict.problems:
        raise BookingsWrong("; ".join(verdict.problems))
    return figures


async def _callers(parley: Parley, workflow: Workflow, wanted: Sequence[int]) -> list[int]:
    """How often each had to ask; a few of them call at a time."""
    lines = asyncio.Semaphore(CALLERS)
    calls = [_call(lines, parley, workflow, slot) for slot in wanted]
    return list(await asyncio.gather(*calls))


async def _call(lines: asyncio.Semaphore, parley: Parley, workflow: Workflow, slot: int) -> int:
    async with lines:
        return await book_until_done(parley, workflow, slot)


async def _closed_runs(parley: Parley) -> list[dict[str, Any]]:
    """The record, once those are closed that a kill cut off."""
    async with asyncio.timeout(RECORD_LIMIT_S):
        while True:
            runs = await parley.runs()
            if all(run["state"] != "open" for run in runs):
                return runs
            # The server looks for such runs by the clock.
            await asyncio.sleep(1)
