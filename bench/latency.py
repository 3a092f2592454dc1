"""How long a caller waits for the reply, and for what: the built-in engines over real WebRTC."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench import machine
from bench.caller import Caller, CallFailed, Mouth, Punctuality
from bench.figures import Figure, median, percentile, print_table, show
from bench.server import Server
from bench.speech import Utterance, speak_all
from bench.turns import PAUSE_S, Turn, take_turn

SUMMARY = "from the caller's last sound to the reply's first, with every stage's share"

GREETING_LIMIT_S = 10.0
SPEECH_LIMIT_S = 30.0
CALLERS_LIMIT_MS = 5.0

SENTENCES = (
    "What are your opening hours?",
    "Are you open on Saturday?",
    "Where are you located?",
    "What is your phone number?",
    "How much is a cleaning?",
    "What time is it?",
    "What day is it today?",
)


@dataclass(frozen=True)
class Promise:
    """A figure and what it may be at most."""

    name: str
    limit_ms: float


PROMISES = (
    Promise("reply_p50_ms", 700),
    Promise("reply_p95_ms", 1000),
    Promise("work_p50_ms", 150),
    Promise("overhead_p50_ms", 100),
    Promise("greeting_p50_ms", 800),
)

STAGE_BUDGETS_MS = {"stt_ms": 500.0, "llm_ms": 400.0, "tts_ms": 700.0}
TOTAL_BUDGET_MS = 1500.0


@dataclass
class Found:
    """Everything that was heard over all calls."""

    turns: list[Turn] = field(default_factory=list[Turn])
    greetings_ms: list[float] = field(default_factory=list[float])
    caller_late_ms: list[float] = field(default_factory=list[float])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=5, help="how many calls, one after another")
    parser.add_argument("--turns", type=int, default=35, help="how many turns in all of them")
    parser.add_argument("--agent", default="", help="the agent to call; the default one")
    parser.add_argument(
        "--url", default="", help="measure a server that runs already on this machine"
    )


async def measure(arguments: argparse.Namespace) -> dict[str, Figure]:
    print(machine.describe())
    speeches = await speak_all(list(SENTENCES))
    if arguments.url:
        found = await _call_all(arguments, arguments.url, speeches)
    else:
        with tempfile.TemporaryDirectory() as folder:
            async with Server(command(), environment=environment(folder)) as server:
                found = await _call_all(arguments, server.url, speeches)
    figures = summarise(found)
    _print(found, figures)
    return figures


def command() -> list[str]:
    return [str(Path(sys.executable).parent / "parley"), "serve", "--port", "{port}"]


def environment(folder: str) -> dict[str, str]:
    """The built-in engines, whatever else this machine has set up."""
    return {
        "PARLEY_DATA_DIR": folder,
        "PARLEY_STT": "builtin",
        "PARLEY_LLM": "scripted",
        "PARLEY_TTS": "builtin",
        "PARLEY_DRAIN_S": "0",
    }


async def _call_all(
    arguments: argparse.Namespace, url: str, speeches: Sequence[Utterance]
) -> Found:
    found = Found()
    each = -(-arguments.turns // arguments.calls)
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as http:
        for number in range(arguments.calls):
            # Every call starts elsewhere in the list, so that all sentences get their share.
            order = [speeches[(number + turn) % len(speeches)] for turn in range(each)]
            await call(http, arguments.agent, order, found)
    return found


async def call(
    http: httpx.AsyncClient, agent: str, speeches: Sequence[Utterance], found: Found
) -> None:
    mouth = Mouth()
    async with Punctuality() as punctuality, Caller(http, mouth, agent=agent) as caller:
        greeted_s = await caller.ear.sound_after(caller.offered_s, GREETING_LIMIT_S)
        if greeted_s is None:
            raise CallFailed("No greeting was heard.")
        found.greetings_ms.append((greeted_s - caller.offered_s) * 1000)
        await caller.ear.quiet_for(PAUSE_S, SPEECH_LIMIT_S)
        for speech in speeches:
            turn = await take_turn(caller, mouth, speech)
            found.turns.append(turn)
            print(_line(turn), flush=True)
        found.caller_late_ms += caller.microphone.lateness_ms(caller.offered_s)
        found.caller_late_ms += punctuality.late_ms


def _line(turn: Turn) -> str:
    notes = [
        note
        for note, holds in (
            ("not understood", not turn.is_understood),
            ("unsure", turn.is_unsure),
            ("interrupted the caller", turn.was_hasty),
            ("no stages", not turn.stages),
        )
        if holds
    ]
    return (
        f"  {show(turn.reply_ms):>5} ms  {turn.said}"
        + (f"  → {turn.understood_as!r}" if not turn.is_understood else "")
        + (f"  ({', '.join(notes)})" if notes else "")
    )


def summarise(found: Found) -> dict[str, Figure]:
    """Every turn that was answered counts in the reply times, understood or not, sure or not."""
    turns = found.turns
    answered = [turn for turn in turns if turn.is_answered]
    told = [turn for turn in answered if turn.stages]
    judged = [turn for turn in turns if turn.stages]
    replies = [turn.reply_ms for turn in answered]

    def middle(value: Callable[[Turn], float]) -> float:
        return median(number for turn in told if not math.isnan(number := value(turn)))

    return {
        "reply_p50_ms": median(replies),
        "reply_p95_ms": percentile(replies, 0.95),
        "work_p50_ms": middle(lambda turn: turn.work_ms),
        "overhead_p50_ms": middle(lambda turn: turn.overhead_ms),
        "greeting_p50_ms": median(found.greetings_ms),
        "greeting_p95_ms": percentile(found.greetings_ms, 0.95),
        "endpointing_p50_ms": middle(lambda turn: turn.stage_ms("endpointing_ms")),
        "silence_p50_ms": middle(lambda turn: turn.stage_ms("silence_ms")),
        "stt_p50_ms": middle(lambda turn: turn.stage_ms("stt_ms")),
        "llm_p50_ms": middle(lambda turn: turn.stage_ms("llm_ms")),
        "tts_p50_ms": middle(lambda turn: turn.stage_ms("tts_ms")),
        "transport_in_p50_ms": middle(lambda turn: turn.transport_in_ms),
        "transport_out_p50_ms": middle(lambda turn: turn.transport_out_ms),
        "unsure_share": _share(judged, lambda turn: turn.is_unsure),
        "understood_share": _share(turns, lambda turn: turn.is_understood),
        "unanswered_share": _share(turns, lambda turn: not turn.is_answered),
        "interrupted_share": _share(turns, lambda turn: turn.was_hasty),
        "turns": len(turns),
        "turns_with_stages": len(told),
        "calls": len(found.greetings_ms),
        "caller_late_p95_ms": percentile(found.caller_late_ms, 0.95),
    }


def _share(turns: Sequence[Turn], holds: Callable[[Turn], bool]) -> float:
    return sum(map(holds, turns)) / len(turns) if turns else math.nan


def _print(found: Found, figures: dict[str, Figure]) -> None:
    told = [turn for turn in found.turns if turn.is_answered and turn.stages]
    total = median(turn.reply_ms for turn in told)
    rows = [
        _stage_row(told, "endpointing", "endpointing_ms", total),
        _stage_row(told, "  of it silence", "silence_ms", total),
        _stage_row(told, "STT (beside it)", "stt_ms", total),
        _stage_row(told, "LLM", "llm_ms", total),
        _stage_row(told, "TTS", "tts_ms", total),
        _row("transport in", [turn.transport_in_ms for turn in told], total, math.nan),
        _row("transport out", [turn.transport_out_ms for turn in told], total, math.nan),
        _row("reply", [turn.reply_ms for turn in told], total, TOTAL_BUDGET_MS),
    ]
    head = ("stage", "p50 ms", "p95 ms", "share", "budget ms")
    print_table(f"{len(told)} turns with stages, {len(found.greetings_ms)} calls", head, rows)
    print_table("promises", ("", "ms", "at most", ""), [verdict(p, figures) for p in PROMISES])
    shares = ", ".join(
        f"{name} {float(figures[key] or 0):.0%}"
        for name, key in (
            ("understood", "understood_share"),
            ("unsure", "unsure_share"),
            ("unanswered", "unanswered_share"),
            ("caller interrupted", "interrupted_share"),
        )
    )
    print(f"\n  of {len(found.turns)} turns: {shares}")
    if float(figures["caller_late_p95_ms"] or 0) > CALLERS_LIMIT_MS:
        print("  Not to be trusted: the caller itself was late.")


def _stage_row(turns: Sequence[Turn], label: str, stage: str, total: float) -> tuple[str, ...]:
    values = [turn.stages[stage] for turn in turns if stage in turn.stages]
    return _row(label, values, total, STAGE_BUDGETS_MS.get(stage, math.nan))


def _row(label: str, values: Sequence[float], total: float, budget: float) -> tuple[str, ...]:
    known = [value for value in values if not math.isnan(value)]
    middle = median(known)
    return (
        label,
        show(middle),
        show(percentile(known, 0.95)),
        show(middle / total * 100, 0, " %"),
        show(budget),
    )


def verdict(promise: Promise, figures: dict[str, Figure]) -> tuple[str, ...]:
    value = figures[promise.name]
    assert isinstance(value, float)
    kept = "kept" if value <= promise.limit_ms else "broken"
    return promise.name, show(value), show(promise.limit_ms), kept
