"""Calls by SIP to the built-in engines: how long the caller waits, and how soon it is answered."""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx

from bench import latency
from bench.caller import CallFailed
from bench.figures import Figure, percentile, print_table, show
from bench.latency import (
    CALLERS_LIMIT_MS,
    GREETING_LIMIT_S,
    SENTENCES,
    SPEECH_LIMIT_S,
    Found,
    Promise,
)
from bench.phone_caller import PhoneCaller
from bench.realtime import newest_stages, with_stages
from bench.server import Server, free_port
from bench.speech import PACKET_MS, Utterance, speak_all
from bench.turns import PAUSE_S, REPLY_LIMIT_S, TURN_LIMIT_S, Turn

PROMISES = (
    Promise("reply_p50_ms", 650),
    Promise("reply_p95_ms", 950),
    Promise("setup_p95_ms", 150),
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
    "unanswered_share",
    "interrupted_share",
    "unsure_share",
    "turns",
    "turns_with_stages",
    "calls",
    "caller_late_p95_ms",
)
CALLS_PER_S = 10
MOST_LIVE = 8


@asynccontextmanager
async def telephone() -> AsyncGenerator[tuple[Server, int]]:
    """A server with the built-in engines and a telephone, and the port that this listens on."""
    sip_port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = latency.environment(folder) | {
            "PARLEY_SIP": "true",
            "PARLEY_SIP_PORT": str(sip_port),
        }
        async with Server(latency.command(), environment=environment) as server:
            yield server, sip_port


async def measure_calls(calls: int, turns: int, setups: int) -> dict[str, Figure]:
    speeches = await speak_all(list(SENTENCES))
    found = Found()
    each = -(-turns // calls)
    async with telephone() as (server, sip_port):
        async with httpx.AsyncClient(base_url=server.url, timeout=30.0) as http:
            for number in range(calls):
                order = [speeches[(number + turn) % len(speeches)] for turn in range(each)]
                await _call(http, sip_port, order, found)
        answered_ms = await set_up(sip_port, setups)
    all_figures = latency.summarise(found)
    figures: dict[str, Figure] = {name: all_figures[name] for name in SHOWN}
    figures |= {
        "setup_p50_ms": percentile(answered_ms, 0.5),
        "setup_p95_ms": percentile(answered_ms, 0.95),
        "setup_calls": len(answered_ms),
    }
    _print(figures)
    return figures


async def _call(
    http: httpx.AsyncClient, sip_port: int, speeches: Sequence[Utterance], found: Found
) -> None:
    turns: list[Turn] = []
    async with PhoneCaller(sip_port) as caller:
        greeted_s = await caller.ear.sound_after(caller.dialled_s, GREETING_LIMIT_S)
        if greeted_s is None:
            raise CallFailed("No greeting was heard.")
        found.greetings_ms.append((greeted_s - caller.dialled_s) * 1000)
        await caller.ear.quiet_for(PAUSE_S, SPEECH_LIMIT_S)
        for speech in speeches:
            turns.append(await take_turn(caller, speech))
            print(f"  {show(turns[-1].reply_ms):>5} ms  {speech.text}", flush=True)
        found.caller_late_ms += caller.late_ms
    told = await newest_stages(http, sum(turn.is_answered for turn in turns))
    found.turns += with_stages(turns, told)


async def take_turn(caller: PhoneCaller, speech: Utterance) -> Turn:
    """Say a sentence, wait for the reply and for its end. What was understood isn't told here."""
    sent_s = await caller.say(speech)
    began_s = sent_s - speech.last_packet * PACKET_MS / 1000
    was_hasty = began_s < caller.ear.last_sound_s <= sent_s
    heard_s = await caller.ear.sound_after(sent_s, REPLY_LIMIT_S)
    await caller.ear.quiet_for(PAUSE_S, TURN_LIMIT_S)
    reply_ms = (heard_s - sent_s) * 1000 if heard_s else math.nan
    return Turn(speech.text, speech.text, reply_ms, was_hasty=was_hasty)


async def set_up(sip_port: int, calls: int) -> list[float]:
    """INVITE to 200, ten a second, from callers that hang up as soon as they are answered."""
    places, answered_ms = asyncio.Semaphore(MOST_LIVE), list[float]()
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(calls):
            await asyncio.sleep(max(0.0, began_s + number / CALLS_PER_S - time.monotonic()))
            await places.acquire()
            tasks.create_task(_ring(sip_port, places, answered_ms))
    return answered_ms


async def _ring(sip_port: int, places: asyncio.Semaphore, answered_ms: list[float]) -> None:
    try:
        async with PhoneCaller(sip_port, talks=False) as caller:
            answered_ms.append((caller.answered_s - caller.dialled_s) * 1000)
    finally:
        places.release()


def _print(figures: dict[str, Figure]) -> None:
    title = f"{figures['turns']} turns, {figures['calls']} calls, {figures['setup_calls']} set-ups"
    rows = [latency.verdict(each, figures) for each in PROMISES]
    print_table(title, ("", "ms", "at most", ""), rows)
    if float(figures["caller_late_p95_ms"] or 0) > CALLERS_LIMIT_MS:
        print("  Not to be trusted: the caller itself was late.")
