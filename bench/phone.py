"""The telephone: what a hundred calls of RTP cost, and how evenly their packets go out."""

from __future__ import annotations

import argparse

from bench import machine
from bench.figures import Figure
from bench.phone_media import measure_media

SUMMARY = "the telephone's media stack: processor time and pacing of many calls"

CALLS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=CALLS, help="calls of echo at once (100)")
    parser.add_argument("--quick", action="store_true", help="ten seconds instead of thirty")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    print(machine.describe())
    return await measure_media(arguments.calls, 10.0 if arguments.quick else 30.0)
