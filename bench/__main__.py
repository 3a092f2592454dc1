"""``python -m bench NAME``: runs one bench, prints its table and writes its figures."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path
from types import ModuleType

import uvloop
from loguru import logger

from bench import api, density, engines, latency, phone, realtime, rustpbx, start, tools
from bench.bookings import BookingsWrong
from bench.caller import CallFailed
from bench.figures import Figure, write_json
from bench.server import ServerFailed

BENCHES: dict[str, ModuleType] = {
    "latency": latency,
    "density": density,
    "engines": engines,
    "api": api,
    "realtime": realtime,
    "phone": phone,
    "rustpbx": rustpbx,
    "start": start,
    "tools": tools,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = parser.add_subparsers(dest="bench", metavar="NAME", required=True)
    for name, module in BENCHES.items():
        bench = names.add_parser(name, help=module.SUMMARY, description=module.__doc__)
        bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
        module.add_arguments(bench)
    return parser


async def _measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    running = asyncio.current_task()
    assert running is not None
    # Ended from outside, a bench still stops its server.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await BENCHES[arguments.bench].measure(arguments)


def main() -> None:
    arguments = _parser().parse_args()
    logger.remove()
    logging.basicConfig(level=logging.WARNING)
    try:
        figures = uvloop.run(_measure(arguments))
    except (BookingsWrong, CallFailed, ServerFailed) as error:
        raise SystemExit(f"bench {arguments.bench}: {error}") from error
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        raise SystemExit(f"bench {arguments.bench}: stopped") from error
    if arguments.json:
        write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
