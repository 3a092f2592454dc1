"""How long a Realtime client waits for the reply: the built-in engines over the WebSocket, beside
the same sentences over the browser's WebRTC."""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from bench import latency, machine
from bench.caller import CallFailed
from bench.figures import Figure, median, percentile, print_table, show
from bench.latency import CALLERS_LIMIT_MS, GREETING_LIMIT_S, SENTENCES, SPEECH_LIMIT_S, Found
from bench.realtime_caller import RealtimeCaller
from bench.server import Server
from bench.speech import PACKET_MS, Utterance, speak_all
from bench.turns import PAUSE_S, REPLY_LIMIT_S, TURN_LIMIT_S, Turn

SUMMARY = "from a Realtime client's last sound to the first audio delta, beside a browser's call"

STORED_LIMIT_S = 5.0
POLL_PAUSE_S = 0.1
COMPARED = ("reply_p50_ms", "reply_p95_ms", "work_p50_ms", "overhead_p50_ms", "greeting_p50_ms")
MORE = ("endpointing_p50_ms", "silence_p50_ms", "stt_p50_ms", "llm_p50_ms", "tts_p50_ms")
SHARES = ("understood_share", "unanswered_share", "interrupted_share")


@dataclass
class FoundBySocket(Found):
    """``deltas_ms``: last audible sample sent to the first audio delta, audible or not."""

    deltas_ms: list[float] = field(default_factory=list[float])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=3, help="how many calls, one after another")
    parser.add_argument("--turns", type=int, default=21, help="how many turns in all of them")
    parser.add_argument("--agent", default="receptionist", help="the agent to call")
    parser.add_argument("--alone", action="store_true", help="no calls over WebRTC beside it")


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    print(machine.describe())
    speeches = await speak_all(list(SENTENCES))
    found, browser = FoundBySocket(), Found()
    each = -(-arguments.turns // arguments.calls)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Server(latency.command(), environment=latency.environment(folder)) as server,
            httpx.AsyncClient(base_url=server.url, timeout=30.0) as http,
        ):
            for number in range(arguments.calls):
                order = [speeches[(number + turn) % len(speeches)] for turn in range(each)]
                await _call(http, server.url, arguments.agent, order, found)
                if not arguments.alone:
                    await latency.call(http, arguments.agent, order, browser)
    figures = summarise(found, browser)
    _print(figures)
    return figures


async def _call(
    http: httpx.AsyncClient, url: str, agent: str, speeches: Sequence[Utterance], found: Found
) -> None:
    assert isinstance(found, FoundBySocket)
    turns: list[Turn] = []
    async with RealtimeCaller(url, agent) as caller:
        greeted_s = await caller.ear.sound_after(caller.dialled_s, GREETING_LIMIT_S)
        if greeted_s is None:
            raise CallFailed("No greeting was heard.")
        found.greetings_ms.append((greeted_s - caller.dialled_s) * 1000)
        await caller.ear.quiet_for(PAUSE_S, SPEECH_LIMIT_S)
        for speech in speeches:
            turn, delta_ms = await take_turn(caller, speech)
            turns.append(turn)
            found.deltas_ms.append(delta_ms)
            print(f"  {show(turn.reply_ms):>5} ms  {turn.said}", flush=True)
        found.caller_late_ms += caller.late_ms
    stages = await newest_stages(http, sum(turn.is_answered for turn in turns))
    found.turns += with_stages(turns, stages)


async def take_turn(caller: RealtimeCaller, speech: Utterance) -> tuple[Turn, float]:
    """Say a sentence, wait for the reply and for its end."""
    position = len(caller.events)
    sent_s = await caller.say(speech)
    began_s = sent_s - speech.last_packet * PACKET_MS / 1000
    was_hasty = began_s < caller.ear.last_sound_s <= sent_s
    heard_s = await caller.ear.sound_after(sent_s, REPLY_LIMIT_S)
    if heard_s is not None:
        await caller.event("response.done", position, TURN_LIMIT_S)
    await caller.ear.quiet_for(PAUSE_S, TURN_LIMIT_S)
    said = [
        str(event["transcript"])
        for event in caller.events[position:]
        if event["type"] == "conversation.item.input_audio_transcription.completed"
    ]
    delta_s = caller.ear.piece_after(sent_s)
    turn = Turn(
        said=speech.text,
        understood_as=" ".join(said),
        reply_ms=(heard_s - sent_s) * 1000 if heard_s else math.nan,
        was_hasty=was_hasty,
    )
    return turn, (delta_s - sent_s) * 1000 if delta_s else math.nan


def with_stages(turns: Sequence[Turn], stages: Sequence[dict[str, float]]) -> list[Turn]:
    """The turns with what the server says of their stages, if it tells of as many as were heard."""
    answered = [turn for turn in turns if turn.is_answered]
    if len(stages) != len(answered):
        return list(turns)
    told = dict(zip(map(id, answered), stages, strict=True))
    return [replace(turn, stages=told.get(id(turn), {})) for turn in turns]


async def newest_stages(http: httpx.AsyncClient, count: int) -> list[dict[str, float]]:
    """Those of the newest call's replies, once all of them are stored; the greeting has none."""
    end_s = time.monotonic() + STORED_LIMIT_S
    while True:
        turns = await newest_turns(http)
        stages = [turn["stages"] for turn in turns if "silence_ms" in (turn["stages"] or {})]
        if len(stages) >= count or time.monotonic() > end_s:
            return stages
        await asyncio.sleep(POLL_PAUSE_S)


async def newest_turns(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """What was said in the newest call, as far as it is stored."""
    call = (await http.get("/v1/calls", params={"limit": 1})).json()["data"][0]
    told = await http.get(f"/v1/calls/{call['id']}/transcript")
    return told.json()["data"]


def summarise(found: FoundBySocket, browser: Found) -> dict[str, Figure]:
    """As ``latency`` does, and the browser's figures under names of their own."""
    ours, theirs = latency.summarise(found), latency.summarise(browser)
    known = [each for each in found.deltas_ms if not math.isnan(each)]
    return {
        **{name: ours[name] for name in COMPARED},
        "delta_p50_ms": median(known),
        "delta_p95_ms": percentile(known, 0.95),
        **{name: ours[name] for name in (*MORE, *SHARES)},
        **{f"browser_{name}": theirs[name] for name in COMPARED},
        "turns": ours["turns"],
        "turns_with_stages": ours["turns_with_stages"],
        "calls": ours["calls"],
        "caller_late_p95_ms": percentile(found.caller_late_ms, 0.95),
    }


def _print(figures: dict[str, Figure]) -> None:
    rows = [
        (name.removesuffix("_ms").replace("_", " "), _shown(figures[name]), _shown(browser))
        for name in COMPARED
        for browser in (figures[f"browser_{name}"],)
    ]
    title = f"{figures['turns']} turns, {figures['calls']} calls"
    print_table(title, ("", "Realtime ms", "browser ms"), rows)
    print(f"\n  first audio delta: {_shown(figures['delta_p50_ms'])} ms (median)")
    if float(figures["caller_late_p95_ms"] or 0) > CALLERS_LIMIT_MS:
        print("  Not to be trusted: the caller itself was late.")


def _shown(value: Figure) -> str:
    return show(float(value) if isinstance(value, float | int) else math.nan)
