"""Engines that do nothing but keep a diary, for tests of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parley.core.errors import EngineUnavailable
from parley.engines.spec import EngineOptions, EngineSpec, Kind, Status

READY = Status(True, "ready")


@dataclass
class Diary:
    """What happened to fake engines, in order, and what each is to answer to ``check``.

    Those that are ``broken`` can't start, whatever they answer.
    """

    lines: list[str] = field(default_factory=list)
    states: dict[str, Status | Exception] = field(default_factory=dict)
    broken: Sequence[str] = ()


class FakeOptions(EngineOptions):
    model: str = "own-model"
    voice: str = "own-voice"
    base_url: str = ""
    loudness: int = 1
    max_concurrent: int | None = None


@dataclass
class FakeEngine:
    name: str
    options: FakeOptions
    diary: Diary

    async def warm_up(self) -> None:
        if self.name in self.diary.broken:
            raise EngineUnavailable(f"{self.name} has no weights.")
        self.diary.lines.append(f"warm {self.name}")

    async def check(self) -> Status:
        states = self.diary.states
        state = states.get(f"{self.name}:{self.options.model}", states.get(self.name, READY))
        if isinstance(state, Exception):
            raise state
        return state

    async def close(self) -> None:
        self.diary.lines.append(f"close {self.name}")


def fake_spec(
    diary: Diary,
    kind: Kind,
    name: str,
    *,
    is_set_up: Callable[[Any], bool] = lambda options: bool(options.base_url),
    environment: Mapping[str, str] | None = None,
    owns_model: Callable[[str], bool] = lambda value: False,
    owns_voice: Callable[[str], bool] = lambda value: False,
    is_language_model: bool = True,
) -> EngineSpec[Any]:
    def make(options: FakeOptions) -> FakeEngine:
        diary.lines.append(f"open {name}")
        return FakeEngine(name, options, diary)

    return EngineSpec(
        kind=kind,
        name=name,
        options=FakeOptions,
        open=make,
        summary=f"The {name} engine.",
        available=is_set_up,
        environment=environment or {},
        owns_model=owns_model,
        owns_voice=owns_voice,
        is_offline=name == "builtin",
        is_language_model=is_language_model,
    )
