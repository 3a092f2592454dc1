"""Chooses engines, opens each once per process, keeps them warm, closes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, overload

from parley.core.errors import EngineFailed, EngineUnavailable, NotFound, ParleyError
from parley.core.log import get_logger
from parley.core.registry import did_you_mean
from parley.engines.found import FoundEngines, Spec, find_engines
from parley.engines.notes import settings_notes
from parley.engines.options import options_for
from parley.engines.spec import (
    Chatter,
    EngineOptions,
    EngineSpec,
    Kind,
    Status,
    Synthesizer,
    Transcriber,
)
from parley.engines.table import EngineRow, engine_row, format_table
from parley.engines.wish import ANY, AUTO, EngineWish, Wishes
from parley.settings import Settings, engine_values

log = get_logger(__name__)

AUTO_ORDER: Mapping[Kind, tuple[str, ...]] = {
    "stt": ("vosk", "speaches", "deepgram", "openai", "whisper", "moonshine"),
    "llm": ("llama_cpp", "ollama", "openai", "llama"),
    "tts": ("piper", "orpheus", "speaches", "deepgram", "openai", "kokoro"),
}
"""What ``auto`` prefers. Engines of other packages follow, and the built-in one is last."""

LAST: Mapping[Kind, str] = {"stt": "builtin", "llm": "scripted", "tts": "builtin"}
"""The engines that work offline on any machine."""

CHECK_LIMIT_S = 5.0

EngineT = TypeVar("EngineT")


@dataclass(frozen=True)
class Choice(Generic[EngineT]):
    """An engine that was chosen, with the options to open it with, and why it was."""

    spec: EngineSpec[EngineT]
    options: EngineOptions
    why: str


@dataclass(eq=False)
class _Opened:
    """One open engine. ``choice`` is None while nobody has settled on it."""

    spec: Spec
    options: EngineOptions
    engine: Any
    choice: Choice[Any] | None = None
    is_warm: bool = False
    warming: asyncio.Lock = field(default_factory=asyncio.Lock)


class EngineCatalog:
    """All engines of this installation.

    ``values`` are settings by environment name; ``notes`` are lines to print under the table.
    Opening is shared: the same engine with the same options is one object for all calls.
    """

    def __init__(
        self, found: FoundEngines, values: Mapping[str, Any], notes: Sequence[str] = ()
    ) -> None:
        self.found = found
        self._values = values
        self._notes = [*(str(entry) for entry in found.broken), *notes]
        self._opened: list[_Opened] = []
        self._choosing = asyncio.Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> EngineCatalog:
        """Every installed engine, handed what the settings say."""
        found = find_engines()
        values = engine_values(settings, found.environment_names)
        return cls(found, values, settings_notes(settings, found))

    @overload
    async def choose(self, kind: Literal["stt"], wishes: Wishes = ANY) -> Choice[Transcriber]: ...
    @overload
    async def choose(self, kind: Literal["llm"], wishes: Wishes = ANY) -> Choice[Chatter]: ...
    @overload
    async def choose(self, kind: Literal["tts"], wishes: Wishes = ANY) -> Choice[Synthesizer]: ...
    @overload
    async def choose(self, kind: Kind, wishes: Wishes = ANY) -> Choice[Any]: ...

    async def choose(self, kind: Kind, wishes: Wishes = ANY) -> Choice[Any]:
        """The first wish that can be granted now; ``auto`` stands for its whole order.

        Raises ``NotFound`` for a name that is no engine's, ``BadSettings`` for wrong options and
        ``EngineUnavailable`` when none can work, each saying what to do.
        """
        for wish in wishes:
            if wish.name != AUTO:
                self._spec(kind, wish)
        refused: list[tuple[Spec, Status]] = []
        async with self._choosing:
            for wish in wishes:
                choice = await self._grant(kind, wish, refused)
                if choice:
                    return choice
        raise _none_works(kind, refused)

    def open(self, choice: Choice[EngineT]) -> EngineT:
        """The engine itself, the same object for every caller."""
        opened = self._open(choice.spec, choice.options)
        opened.choice = opened.choice or choice
        return opened.engine

    async def warm_up(self) -> None:
        """Warm every engine that was chosen and is still cold."""
        results = await asyncio.gather(
            *(self._warm(opened) for opened in self._opened if opened.choice),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def check(self) -> dict[tuple[Kind, str], Status]:
        """Ask every engine in use whether it can work now."""
        in_use = [opened for opened in self._opened if opened.choice]
        states = await asyncio.gather(*(_status(opened.engine) for opened in in_use))
        return {
            (opened.spec.kind, opened.spec.name): status
            for opened, status in zip(in_use, states, strict=True)
        }

    async def close(self) -> None:
        """Close all engines, the last opened first; one that fails doesn't keep the rest open."""
        while self._opened:
            await _close(self._opened.pop())

    def rows(self) -> list[EngineRow]:
        """One row per engine in use: first those that hear, then those that think and speak."""
        order: list[Kind] = ["stt", "llm", "tts"]
        in_use = [(o, o.choice) for o in self._opened if o.choice]
        in_use.sort(key=lambda pair: order.index(pair[0].spec.kind))
        return [engine_row(o.spec, o.options, choice.why) for o, choice in in_use]

    def table(self) -> str:
        """The engines in use, and a line for each setting or package that needs one."""
        return "\n".join([format_table(self.rows()), *self._notes])

    def _spec(self, kind: Kind, wish: EngineWish) -> Spec:
        specs = self.found.of(kind)
        if wish.name in specs:
            return specs[wish.name]
        by = f" ({wish.by})" if wish.by else ""
        for entry in self.found.broken:
            if (entry.group, entry.name) == (f"parley.{kind}", wish.name):
                raise EngineUnavailable(f"{entry}{by}.", hint="Install its package again.")
        hint = did_you_mean(wish.name, [AUTO, *specs])
        if wish.name in AUTO_ORDER[kind]:
            hint = f"It is not part of this version. Known: {', '.join([AUTO, *sorted(specs)])}."
        raise NotFound(f"There is no {kind} engine {wish.name!r}{by}.", hint=hint)

    async def _grant(
        self, kind: Kind, wish: EngineWish, refused: list[tuple[Spec, Status]]
    ) -> Choice[Any] | None:
        specs = [self._spec(kind, wish)] if wish.name != AUTO else self._in_auto_order(kind)
        for spec in specs:
            options = options_for(spec, wish, self._values)
            if wish.name == AUTO and not spec.available(options) and spec is not specs[-1]:
                continue
            status = await self._try(spec, options)
            if not status.ok:
                refused.append((spec, status))
                continue
            choice = Choice(spec, options, _why(wish, spec, refused))
            self.open(choice)
            return choice
        return None

    def _in_auto_order(self, kind: Kind) -> list[Spec]:
        specs = self.found.of(kind)
        known = [*AUTO_ORDER[kind], LAST[kind]]
        names = [*AUTO_ORDER[kind], *sorted(set(specs) - set(known)), LAST[kind]]
        return [specs[name] for name in names if name in specs]

    async def _try(self, spec: Spec, options: EngineOptions) -> Status:
        """Open the engine and ask it; one that can't work and is nobody's is closed again."""
        try:
            opened = self._open(spec, options)
        except Exception as error:
            return _refusal(error)
        status = await _status(opened.engine)
        if not status.ok and opened.choice is None and opened in self._opened:
            self._opened.remove(opened)
            await _close(opened)
        return status

    def _open(self, spec: Spec, options: EngineOptions) -> _Opened:
        for opened in self._opened:
            if opened.spec is spec and opened.options == options:
                return opened
        opened = _Opened(spec, options, spec.open(options))
        self._opened.append(opened)
        return opened

    async def _warm(self, opened: _Opened) -> None:
        async with opened.warming:
            if opened.is_warm:
                return
            try:
                await opened.engine.warm_up()
            except ParleyError:
                raise
            except Exception as error:
                raise EngineFailed(
                    f"The {opened.spec.kind} engine {opened.spec.name} can't start: {error}"
                ) from error
            opened.is_warm = True


async def _status(engine: Any) -> Status:
    """What the engine says of itself; silence and surprises count as no."""
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            return await engine.check()
    except TimeoutError:
        return Status(False, f"no answer within {CHECK_LIMIT_S:g} s")
    except Exception as error:
        return _refusal(error)


def _refusal(error: Exception) -> Status:
    """Any package may bring an engine, and one that breaks must not take the house along."""
    if isinstance(error, ParleyError):
        return Status(False, error.message, error.hint)
    return Status(False, f"{type(error).__name__}: {error}")


async def _close(opened: _Opened) -> None:
    try:
        await opened.engine.close()
    except Exception as error:
        log.error("engine_close_failed", engine=opened.spec.name, error=str(error))


def _why(wish: EngineWish, spec: Spec, refused: Sequence[tuple[Spec, Status]]) -> str:
    if wish.name != AUTO:
        why = f"asked for by {wish.by or 'name'}"
    elif spec.name == LAST[spec.kind]:
        why = "auto: no other is set up"
    else:
        why = "auto: set up, and answers"
    if refused:
        over = ", ".join(f"{other.name} ({status.detail})" for other, status in refused)
        why = f"{why.replace('no other is set up', 'the last resort')}; passed over: {over}"
    return why


def _none_works(kind: Kind, refused: Sequence[tuple[Spec, Status]]) -> EngineUnavailable:
    if not refused:
        return EngineUnavailable(f"No {kind} engine is installed.", hint="Install Parley again.")
    reasons = "; ".join(f"{spec.name}: {status.detail}" for spec, status in refused)
    hints = dict.fromkeys(status.hint for _, status in refused if status.hint)
    return EngineUnavailable(f"No {kind} engine can work ({reasons}).", hint=" ".join(hints))
