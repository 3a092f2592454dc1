"""RustPBX's socket: how long its caller waits, how evenly the voice comes, and what ten minutes of
calls leave behind."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence

from bench import latency, machine
from bench.figures import Figure, percentile, print_table, show
from bench.latency import CALLERS_LIMIT_MS, SENTENCES, Found, Promise
from bench.rustpbx_caller import PROFILES, Profile, RustPbxCaller
from bench.rustpbx_pacing import Paced
from bench.rustpbx_soak import measure_soak
from bench.rustpbx_turns import be_greeted, take_turn
from bench.server import Server
from bench.speech import Utterance, speak_all

SUMMARY = "RustPBX's socket: reply times, pacing of the voice, and no growth in ten minutes"

CALLERS_PER_S = 4
# The same as by telephone: it is the same session, and a PBX before it.
PROMISES = (
    Promise("reply_p50_ms", 650),
    Promise("reply_p95_ms", 950),
    Promise("pacing_p99_ms", 5),
    Promise("lead_max_ms", 100),
    Promise("crowd_pacing_p99_ms", 5),
    Promise("crowd_lead_max_ms", 100),
)
SHOWN = (
    "reply_p50_ms",
    "reply_p95_ms",
    "work_p50_ms",
    "overhead_p50_ms",
    "greeting_p50_ms",
    "endpointing_p50_ms",
    "silence_p50_ms",
    "stt_p50_ms",
    "llm_p50_ms",
    "tts_p50_ms",
    "understood_share",
    "unanswered_share",
    "interrupted_share",
    "turns",
    "turns_with_stages",
    "calls",
    "caller_late_p95_ms",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=3, help="how many calls, one after another")
    parser.add_argument("--turns", type=int, default=21, help="how many turns in all of them")
    parser.add_argument("--at-once", type=int, default=10, help="how many calls at once then")
    parser.add_argument("--client", choices=PROFILES, default="a", help="which client's habits")
    parser.add_argument("--quick", action="store_true", help="a coarse run, to see that it works")
    parser.add_argument(
        "--soak", action="store_true", help="instead: calls for ten minutes (--quick: one)"
    )


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    print(machine.describe())
    profile = PROFILES[arguments.client]
    if arguments.soak:
        return await measure_soak(profile, minutes=1 if arguments.quick else 10)
    calls, turns = (1, 7) if arguments.quick else (arguments.calls, arguments.turns)
    speeches = await speak_all(list(SENTENCES))
    with tempfile.TemporaryDirectory() as folder:
        environment = latency.environment(folder) | {"PARLEY_MAX_CALLS": str(arguments.at_once + 1)}
        async with Server(latency.command(), environment=environment) as server:
            figures = await _measure_replies(server, profile, speeches, calls, -(-turns // calls))
            figures |= await _measure_crowd(server, profile, arguments.at_once)
    _print(figures)
    return figures


async def _measure_replies(
    server: Server, profile: Profile, speeches: Sequence[Utterance], calls: int, each: int
) -> dict[str, Figure]:
    found, paced, waiting = Found(), Paced(), 0
    for number in range(calls):
        order = [speeches[(number + turn) % len(speeches)] for turn in range(each)]
        async with RustPbxCaller(server.url, "receptionist", profile) as caller:
            await be_greeted(caller, found)
            for speech in order:
                found.turns.append(await take_turn(caller, speech))
                print(f"  {show(found.turns[-1].reply_ms):>5} ms  {speech.text}", flush=True)
            found.caller_late_ms += caller.late_ms
        paced.add(caller.ear)
        waiting = max(waiting, caller.most_waiting)
    all_figures = latency.summarise(found)
    return (
        {name: all_figures[name] for name in SHOWN}
        | paced.figures()
        | {"most_waiting_frames": waiting, "caller_late_max_ms": max(found.caller_late_ms)}
    )


async def _measure_crowd(server: Server, profile: Profile, at_once: int) -> dict[str, Figure]:
    """Callers who come in quick succession and are all greeted: each hears an even voice."""
    paced, found = Paced(), Found()
    callers = [RustPbxCaller(server.url, "receptionist", profile) for _ in range(at_once)]
    all_greeted = asyncio.Barrier(at_once)

    async def listen(number: int, caller: RustPbxCaller) -> None:
        await asyncio.sleep(number / CALLERS_PER_S)
        async with caller:
            await be_greeted(caller, found)
            await all_greeted.wait()
            found.caller_late_ms += caller.late_ms

    async with asyncio.TaskGroup() as tasks:
        for number, caller in enumerate(callers):
            tasks.create_task(listen(number, caller))
    for caller in callers:
        paced.add(caller.ear)
    return paced.figures("crowd_") | {
        "crowd_calls": at_once,
        "crowd_caller_late_p95_ms": percentile(found.caller_late_ms, 0.95),
        "crowd_caller_late_max_ms": max(found.caller_late_ms),
    }


def _print(figures: dict[str, Figure]) -> None:
    title = f"{figures['turns']} turns, {figures['calls']} calls, then {figures['crowd_calls']}"
    rows = [latency.verdict(each, figures) for each in PROMISES]
    print_table(title, ("", "ms", "at most", ""), rows)
    late = (figures["caller_late_p95_ms"], figures["crowd_caller_late_p95_ms"])
    if max(float(each or 0) for each in late) > CALLERS_LIMIT_MS:
        print("  Not to be trusted: the callers themselves were late.")
