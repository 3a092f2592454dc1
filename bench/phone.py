"""The telephone: its media stack under many calls, calls by SIP, and calls on a bad network."""

from __future__ import annotations

import argparse

from bench import machine
from bench.figures import Figure
from bench.phone_calls import measure_calls
from bench.phone_loss import measure_loss
from bench.phone_media import measure_media

SUMMARY = "the telephone: cost and pacing of many calls, reply times on the wire, lost packets"

CALLS = 100
PARTS = ("media", "calls", "loss")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--part", choices=PARTS, action="append", help="only this; may be repeated (all)"
    )
    parser.add_argument("--calls", type=int, default=CALLS, help="calls of echo at once (100)")
    parser.add_argument("--quick", action="store_true", help="a coarse run, to see that it works")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    print(machine.describe())
    quick, parts = arguments.quick, arguments.part or PARTS
    figures: dict[str, Figure] = {}
    if "media" in parts:
        figures |= await measure_media(arguments.calls, 10.0 if quick else 30.0)
    if "calls" in parts:
        calls, turns, setups = (1, 7, 20) if quick else (3, 21, 100)
        figures |= await measure_calls(calls, turns, setups)
    if "loss" in parts:
        # Twice all sentences, at each rate: more would take longer than the rest together.
        figures |= await measure_loss(10.0 if quick else 60.0, 1 if quick else 2)
    return figures
