"""Chooses engines, opens each once per process, keeps them warm, closes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar, overload

from parley.core.log import get_logger
from parley.engines.choice import (
    LAST,
    Choice,
    Choosing,
    Standby,
    and_then,
    none_works,
    spec_for,
    why_chosen,
    wished_specs,
)
from parley.engines.fallback.chain import Chain, Link
from parley.engines.fallback.hearing import FallbackTranscriber
from parley.engines.fallback.limits import USUAL_LIMITS, ChainLimits
from parley.engines.fallback.speaking import FallbackSpeech, fallback_speech
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.fetching import ModelFetcher
from parley.engines.found import FoundEngines, Spec, find_engines
from parley.engines.notes import settings_notes
from parley.engines.offline import addresses_of, kept_offline, may_pull, offline_status
from parley.engines.opened import Opened, refusal
from parley.engines.options import options_for
from parley.engines.resources import MachineShares, share_of
from parley.engines.spec import (
    Chatter,
    EngineOptions,
    Kind,
    ModelKeeper,
    Status,
    Synthesizer,
    Transcriber,
)
from parley.engines.speech_cache.cache import SpeechCache, speech_cache
from parley.engines.table import EngineRow, engine_row, format_table
from parley.engines.wish import ANY, AUTO, EngineWish, Wishes
from parley.settings import Settings, engine_values

log = get_logger(__name__)

EngineT = TypeVar("EngineT")

NATURAL_SPEECH = (
    "For natural speech and a language model on this machine: install Parley's extra `local`, "
    "then `parley models pull recommended` (docs/guides/local-engines.md)."
)


class EngineCatalog:
    """All engines of this installation.

    ``values`` are settings by environment name; ``notes`` are lines to print under the table.
    Opening is shared: the same engine with the same options is one object for all calls.
    """

    def __init__(
        self,
        found: FoundEngines,
        values: Mapping[str, Any],
        notes: Sequence[str] = (),
        *,
        speech: SpeechCache | None = None,
        fetcher: ModelFetcher | None = None,
        is_offline: bool = False,
    ) -> None:
        self.found = found
        self.speech = speech
        self.fetcher = fetcher
        self.is_offline = is_offline
        self.values = values
        self._notes = [*(str(entry) for entry in found.broken), *notes]
        self._opened: list[Opened] = []
        self._choosing = asyncio.Lock()
        self._shares = MachineShares()

    @classmethod
    def from_settings(cls, settings: Settings, *, fetches: bool = False) -> EngineCatalog:
        """Every installed engine, handed what the settings say.

        With ``fetches`` models that are missing are fetched, unless the settings say offline.
        """
        found = find_engines()
        values = engine_values(settings, found.environment_names)
        return cls(
            found,
            values,
            settings_notes(settings, found),
            speech=speech_cache(settings),
            fetcher=ModelFetcher() if fetches and not settings.offline else None,
            is_offline=settings.offline,
        )

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
                spec_for(self.found, kind, wish)
        found = Choosing()
        async with self._choosing:
            for wish in wishes:
                await self._grant(kind, wish, found)
            if found.choice is None:
                await self._close_unused()
                raise none_works(kind, found.refused)
            choice = replace(
                found.choice,
                chain=tuple(found.places),
                why=found.choice.why + and_then(found.choice, found.places),
            )
            for place in choice.chain:
                self._open(place.spec, place.options).is_in_use = True
            self.open(choice)
        return choice

    def open(self, choice: Choice[EngineT]) -> EngineT:
        """The engine itself, the same object for every caller."""
        opened = self._open(choice.spec, choice.options)
        opened.is_in_use = True
        opened.why = opened.why or choice.why
        return opened.engine

    @overload
    def chain(
        self, choice: Choice[Transcriber], limits: ChainLimits = USUAL_LIMITS
    ) -> FallbackTranscriber: ...
    @overload
    def chain(
        self, choice: Choice[Chatter], limits: ChainLimits = USUAL_LIMITS
    ) -> FallbackChat: ...
    @overload
    def chain(
        self, choice: Choice[Synthesizer], limits: ChainLimits = USUAL_LIMITS
    ) -> FallbackSpeech: ...

    def chain(self, choice: Choice[Any], limits: ChainLimits = USUAL_LIMITS) -> Any:
        """The chosen engine with those behind it: one that fails is replaced by the next.

        It is used like the engine itself. Engines are shared, and what is known of their health
        too.
        """
        kind = choice.spec.kind
        places = choice.chain or (Standby(choice.spec, choice.options),)
        links = [
            Link(self._open(place.spec, place.options).member, place.is_stand_in)
            for place in places
        ]
        chain = Chain[Any](kind, links, getattr(limits, kind))
        return _FALLBACKS[kind](chain)

    async def warm_up(self) -> None:
        """Warm every engine in use that is cold. One that can't start only stands by from then
        on, as sick, so that it keeps no other agent from being prepared; raises for the first
        that was chosen to serve."""
        cold = [
            each for each in self._opened if each.is_in_use and (each.why or each.member.is_well)
        ]
        await self._shares.among([each.engine for each in cold])
        results = await asyncio.gather(*(each.warm() for each in cold), return_exceptions=True)
        missed: list[Exception] = []
        for opened, result in zip(cold, results, strict=True):
            if result is None:
                continue
            if not isinstance(result, Exception):
                raise result
            if opened.why:
                missed.append(result)
            opened.could_not_start(result)
            log.warning("engine_not_ready", engine=opened.spec.name, error=str(result))
        if missed:
            raise missed[0]

    async def warm(self, choice: Choice[Any]) -> None:
        """Warm the chosen engine and no other, for somebody who names one in passing."""
        opened = self._open(choice.spec, choice.options)
        await self._shares.among([opened.engine])
        await opened.warm_in_passing()

    async def check(self) -> dict[tuple[Kind, str], Status]:
        """Ask every engine in use whether it can work now."""
        in_use = [opened for opened in self._opened if opened.is_in_use]
        states = await asyncio.gather(*(opened.status() for opened in in_use))
        return {
            (opened.spec.kind, opened.spec.name): status
            for opened, status in zip(in_use, states, strict=True)
        }

    async def close(self) -> None:
        """Close all engines, the last opened first; one that fails doesn't keep the rest open."""
        if self.fetcher is not None:
            await self.fetcher.close()
        while self._opened:
            await self._opened.pop().close()
        if self.speech is not None:
            await self.speech.close()

    @property
    def fetching(self) -> Mapping[str, str]:
        """The models on their way, ``ENGINE:MODEL``, and how far each has come."""
        return self.fetcher.under_way if self.fetcher else {}

    def rows(self) -> list[EngineRow]:
        """One row per engine that serves: those that hear, those that think, those that speak."""
        order: list[Kind] = ["stt", "llm", "tts"]
        serving = [opened for opened in self._opened if opened.why]
        serving.sort(key=lambda opened: order.index(opened.spec.kind))
        return [
            engine_row(each.spec, each.options, each.why, share_of(each.engine)) for each in serving
        ]

    def table(self) -> str:
        """The engines in use, and a line for each setting or package that needs one."""
        return "\n".join([format_table(self.rows()), *self._notes])

    def advice(self) -> str:
        """What to do for natural speech, where only the engines of last resort serve."""
        serving = {(each.spec.kind, each.spec.name) for each in self._opened if each.why}
        if not all((kind, name) in serving for kind, name in LAST.items()):
            return ""
        return NATURAL_SPEECH

    async def _grant(self, kind: Kind, wish: EngineWish, found: Choosing) -> None:
        """Add to the chain what this wish brings; the first that works is the choice."""
        specs = wished_specs(self.found, kind, wish)
        for spec in specs:
            options = self._options(spec, wish)
            is_last = spec is specs[-1]
            if wish.name == AUTO and not (is_last or spec.available(options)):
                continue
            stands_in = wish.name == AUTO and not spec.is_language_model
            # A script must not answer for somebody else's agent while a model can.
            if stands_in and found.choice is not None:
                continue
            place = Standby[Any](spec, options, stands_in)
            if found.has(place):
                continue
            status = await self._try(spec, options)
            if status.ok:
                found.places.append(place)
                why = why_chosen(wish, spec, found.refused)
                found.choice = found.choice or Choice(spec, options, why)
                continue
            found.refused.append((spec, status))
            if any((spec, options) == (each.spec, each.options) for each in self._opened):
                found.places.append(place)

    def _options(self, spec: Spec, wish: EngineWish) -> EngineOptions:
        options = options_for(spec, wish, self.values)
        return kept_offline(options) if self.is_offline else options

    async def _try(self, spec: Spec, options: EngineOptions) -> Status:
        """Open the engine and ask it; one that can't work now may come back.

        A model that is all it misses is fetched: only engines that somebody named or set up are
        asked, and ``auto`` passes over those of this process without a model.
        """
        if self.is_offline and (status := offline_status(spec, options)):
            return status
        try:
            opened = self._open(spec, options)
        except Exception as error:
            return refusal(error)
        status = await opened.status()
        member = opened.member
        if not status.ok and not member.has_worked:
            member.failed(status.detail)
        elif status.ok and not member.has_worked:
            member.worked(was_well=False)
        if status.missing_model and self._fetch(opened, status.missing_model):
            opened.is_in_use = True
        return status

    def _fetch(self, opened: Opened, model: str) -> bool:
        """Have the model fetched, where that may be."""
        spec, engine = opened.spec, opened.engine
        if self.fetcher is None or not may_pull(opened.options):
            return False
        if not isinstance(engine, ModelKeeper):
            return False
        self.fetcher.fetch(spec.kind, spec.name, model, engine, addresses_of(opened.options))
        return True

    def _open(self, spec: Spec, options: EngineOptions) -> Opened:
        for opened in self._opened:
            if opened.spec is spec and opened.options == options:
                return opened
        opened = Opened(spec, options, self.speech)
        self._opened.append(opened)
        return opened

    async def _close_unused(self) -> None:
        """Close what was only asked whether it can work."""
        for opened in [each for each in self._opened if not each.is_in_use]:
            self._opened.remove(opened)
            await opened.close()


_FALLBACKS: Mapping[Kind, Any] = {
    "stt": FallbackTranscriber,
    "llm": FallbackChat,
    "tts": fallback_speech,
}
