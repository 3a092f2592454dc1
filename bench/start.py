"""Measures how long a start takes: ``scripts/serve`` in a prepared checkout until /health answers.

The first start is not counted: it makes the database and the bytecode. Processor time is that of
the server and everything it started, until the answer: what is left of a start on a fast machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from bench import machine
from bench.figures import Figure, median, percentile, print_table, show
from bench.server import Server

SUMMARY = "how long a start takes until /health answers, and what it costs"
COMMAND = ("scripts/serve", "--port", "{port}")
POLL_PAUSE_S = 0.01
PROMISED_START_S = 5.0
OTHERS_LIMIT_CORES = 0.2


@dataclass(frozen=True)
class Start:
    """One start: until the answer, processor time until then, and what others used meanwhile."""

    took_s: float
    server_cpu_s: float
    all_cpu_s: float
    others_cpu_cores: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=10, help="starts, one after another")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    print(machine.describe())
    with tempfile.TemporaryDirectory(prefix="bench-start-") as data_dir:
        # An empty value switches the writing of bytecode on again, for the first start to do it.
        environment = {"PARLEY_DATA_DIR": data_dir, "PYTHONDONTWRITEBYTECODE": ""}
        await _start(environment)
        starts = [await _start(environment) for _ in range(max(1, arguments.runs))]
    figures = summarise(starts)
    _print(starts, figures)
    return figures


async def _start(environment: Mapping[str, str]) -> Start:
    server = Server(
        COMMAND, environment=environment, ready_path="/health", poll_pause_s=POLL_PAUSE_S
    )
    before, own_s, started_s = machine.busy(), time.process_time(), time.monotonic()
    async with server:
        all_cpu_s, server_cpu_s = server.family_cpu_s(), server.cpu_s()
        used_s = machine.busy().used_s - before.used_s
        lasted_s = time.monotonic() - started_s
    others_s = used_s - all_cpu_s - (time.process_time() - own_s)
    return Start(server.start_s, server_cpu_s, all_cpu_s, max(others_s, 0.0) / lasted_s)


def summarise(starts: Sequence[Start]) -> dict[str, Figure]:
    took_s = [start.took_s for start in starts]
    return {
        "start_p50_s": median(took_s),
        "start_p95_s": percentile(took_s, 0.95),
        "start_min_s": min(took_s),
        "server_cpu_p50_s": median(start.server_cpu_s for start in starts),
        "all_cpu_p50_s": median(start.all_cpu_s for start in starts),
        "others_cpu_cores": median(start.others_cpu_cores for start in starts),
        "runs": len(starts),
    }


def _print(starts: Sequence[Start], figures: Mapping[str, Figure]) -> None:
    rows = [
        _row("until /health answers", [each.took_s for each in starts], PROMISED_START_S),
        _row("processor time, server", [each.server_cpu_s for each in starts]),
        _row("processor time, with its workers", [each.all_cpu_s for each in starts]),
    ]
    head = ("", "min", "median", "p95", "promise")
    print_table(f"start ({figures['runs']} starts)", head, rows)
    others = figures["others_cpu_cores"]
    assert isinstance(others, float)
    if others > OTHERS_LIMIT_CORES:
        print(f"  Not to be trusted: other processes used {others:.1f} cores meanwhile.")


def _row(name: str, values_s: Sequence[float], promise_s: float = float("nan")) -> tuple[str, ...]:
    figures = (min(values_s), median(values_s), percentile(values_s, 0.95))
    promise = "" if isnan(promise_s) else show(promise_s, 0, " s")
    return name, *(show(value, 2, " s") for value in figures), promise
