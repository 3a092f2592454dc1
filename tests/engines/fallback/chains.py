"""Chains of fakes, and what they told of replacements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from parley.core.audio import Audio, pcm_bytes
from parley.core.breaker import Breaker
from parley.core.errors import EngineFailed, EngineUnavailable
from parley.engines.fallback.chain import Chain, Link, Replacement
from parley.engines.fallback.hearing import FallbackTranscriber
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.member import Member
from parley.engines.fallback.probe import ask_briefly
from parley.engines.fallback.speaking import fallback_speech
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.remote.failures import status_failure
from parley.engines.spec import Kind
from parley.testing.faults import Fault

QUICK = StageLimits(first_s=0.3, gap_s=0.2, patience_s=2.0)
NAMES = ("first", "second", "third")

FAULTS: dict[str, Fault] = {
    "dies at connect": Fault(error=EngineUnavailable("Connection refused.")),
    "dies in mid-stream": Fault(after=2, error=EngineFailed("The connection was lost.")),
    "hangs": Fault(hangs=True),
    "hangs in mid-stream": Fault(after=2, hangs=True),
    "answers garbage": Fault(garbage=True),
    "answers 429": Fault(error=status_failure("It", "http://a", 429, "", "30")),
    "answers 500": Fault(error=status_failure("It", "http://a", 500, "")),
    "drips": Fault(drip_s=0.18),
    "breaks the rules": Fault(error=KeyError("choices")),
}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Told:
    """The replacements that a call was told of."""

    def __init__(self) -> None:
        self.all: list[Replacement] = []
        self.happened = asyncio.Event()

    def __call__(self, told: Replacement) -> None:
        self.all.append(told)
        self.happened.set()

    @property
    def names(self) -> list[tuple[str, str]]:
        return [(told.failed, told.replacement) for told in self.all]


def member(kind: Kind, name: str, engine: Any, **changes: Any) -> Member[Any]:
    async def probe() -> None:
        await ask_briefly(kind, engine)

    return Member(name, engine, probe=probe, **changes)


def chain_of(
    kind: Kind, *engines: Any, limits: StageLimits = QUICK, clock: Clock | None = None
) -> Any:
    """The fallback of that kind over engines called first, second …"""
    links = [
        Link(member(kind, name, engine, breaker=_breaker(clock)))
        for name, engine in zip(NAMES, engines, strict=False)
    ]
    kinds: dict[str, Any] = {
        "stt": FallbackTranscriber,
        "llm": FallbackChat,
        "tts": fallback_speech,
    }
    return kinds[kind](Chain[Any](kind, links, limits))


def _breaker(clock: Clock | None) -> Breaker | None:
    return Breaker(failures_to_open=1, clock=clock, chance=lambda: 0.0) if clock else None


async def sound(pieces: int = 10) -> AsyncIterator[Audio]:
    """An utterance in pieces of 20 ms."""
    for _ in range(pieces):
        yield Audio(bytes(pcm_bytes(20, 16_000)), 16_000)
