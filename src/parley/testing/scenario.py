"""Spoken scenarios: what a caller says and must hear, the same file through any transport.

A scenario is YAML: ``name``, ``agent``, ``needs`` (what the transport must be able to do) and
``steps``, each one of

- ``say: TEXT``              the caller says it (spoken by the given voice)
- ``say_over: TEXT``         the same, as soon as the agent is heard: an interruption
- ``expect: {EVENT: …}``     the next event of that name, after the last one expected, whose
                             fields match: text by "contains", everything else by equality
- ``agent_says: TEXT``       the agent's replies from here on contain the text (case aside)
- ``wait_ms: N``             the caller listens
- ``hang_up: true``          the caller leaves
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from parley.core.events import AgentSpeechStarted, AgentText, Event, TurnEnded

DEFAULT_PATIENCE_S = 15.0


class Caller(Protocol):
    """One end of a call, through whatever transport."""

    async def speak(self, pcm: bytes) -> None: ...

    def leave(self) -> None: ...

    def events_from(self, position: int) -> AsyncIterator[tuple[int, Event]]: ...


Voice = Callable[[str], Awaitable[bytes]]
"""Speaks a text as s16le at 16 kHz."""


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple[dict[str, Any], ...]
    agent: str = ""
    needs: tuple[str, ...] = ()
    patience_s: float = DEFAULT_PATIENCE_S


class ScenarioFailed(AssertionError):
    """A step did not come about; the message has the events seen since the last one."""


def load_scenario(path: Path) -> Scenario:
    data: dict[str, Any] = yaml.safe_load(path.read_text())
    return Scenario(
        name=data.get("name", path.stem),
        steps=tuple(data["steps"]),
        agent=data.get("agent", ""),
        needs=tuple(data.get("needs", ())),
        patience_s=data.get("patience_s", DEFAULT_PATIENCE_S),
    )


@dataclass
class ScenarioRun:
    """Plays one scenario against one caller."""

    scenario: Scenario
    caller: Caller
    voice: Voice
    position: int = 0
    seen: list[Event] = field(default_factory=list[Event])

    async def play(self) -> None:
        for number, step in enumerate(self.scenario.steps, start=1):
            (kind, value), *rest = step.items()
            if rest:
                raise ScenarioFailed(f"Step {number} has more than one key: {step}")
            try:
                async with asyncio.timeout(self.scenario.patience_s):
                    await self._do(kind, value)
            except TimeoutError:
                seen = "\n  ".join(str(event) for event in self.seen[-30:])
                raise ScenarioFailed(
                    f"{self.scenario.name}, step {number}: {step} did not come about."
                    f" Events since:\n  {seen}"
                ) from None

    async def _do(self, kind: str, value: Any) -> None:
        match kind:
            case "say":
                await self.caller.speak(await self.voice(value))
            case "say_over":
                speech = await self.voice(value)
                await self._until(lambda event: isinstance(event, AgentSpeechStarted))
                await self.caller.speak(speech)
            case "expect":
                ((name, fields),) = value.items()
                await self._until(lambda event: _matches(event, name, fields or {}))
            case "agent_says":
                await self._agent_says(value)
            case "wait_ms":
                await asyncio.sleep(value / 1000)
            case "hang_up":
                self.caller.leave()
            case _:
                raise ScenarioFailed(f"Unknown step {kind!r}.")

    async def _until(self, wanted: Callable[[Event], bool]) -> None:
        self.seen.clear()
        async for position, event in self.caller.events_from(self.position):
            self.seen.append(event)
            self.position = position + 1
            if wanted(event):
                return

    async def _agent_says(self, text: str) -> None:
        said: list[str] = []

        def contains(event: Event) -> bool:
            if isinstance(event, AgentText):
                said.append(event.text)
            elif isinstance(event, TurnEnded):
                said.append(" ")
            return text.casefold() in " ".join("".join(said).split()).casefold()

        await self._until(contains)


def _matches(event: Event, name: str, fields: dict[str, Any]) -> bool:
    if event.name != name:
        return False
    for key, wanted in fields.items():
        value = getattr(event, key)
        if isinstance(wanted, str) and isinstance(value, str):
            if wanted.casefold() not in value.casefold():
                return False
        elif value != wanted:
            return False
    return True
