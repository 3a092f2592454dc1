"""Chooses engines, opens each once per process, keeps them warm, closes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar, overload

from parley.core.extras import install_command
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
from parley.engines.fallback.places import Queue
from parley.engines.fallback.speaking import FallbackSpeech, fallback_speech
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.fetching import Missing, ModelFetcher
from parley.engines.found import FoundEngines, Spec, find_engines
from parley.engines.keeper import ModelKeeper
from parley.engines.notes import settings_notes
from parley.engines.offline import addresses_of, kept_offline, may_pull, offline_status
from parley.engines.open_engines import OpenEngines
from parley.engines.opened import Opened, refusal
from parley.engines.options import options_for
from parley.engines.spec import Chatter, EngineOptions, Kind, Status, Synthesizer, Transcriber
from parley.engines.speech_cache.cache import SpeechCache, speech_cache
from parley.engines.table import EngineRow, engine_row, format_table
from parley.engines.wish import ANY, AUTO, EngineWish, Wishes
from parley.settings import Settings, engine_values

log = get_logger(__name__)

EngineT = TypeVar("EngineT")


class EngineCatalog:
    """All engines of this installation.

    ``values`` are settings by environment name; ``notes`` are lines to print under the table.
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
        self._engines = OpenEngines(speech)
        self._choosing = asyncio.Lock()

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
    async def choose(
        self, kind: Literal["stt"], wishes: Wishes = ANY, *, among_started: bool = False
    ) -> Choice[Transcriber]: ...
    @overload
    async def choose(
        self, kind: Literal["llm"], wishes: Wishes = ANY, *, among_started: bool = False
    ) -> Choice[Chatter]: ...
    @overload
    async def choose(
        self, kind: Literal["tts"], wishes: Wishes = ANY, *, among_started: bool = False
    ) -> Choice[Synthesizer]: ...
    @overload
    async def choose(
        self, kind: Kind, wishes: Wishes = ANY, *, among_started: bool = False
    ) -> Choice[Any]: ...

    async def choose(
        self, kind: Kind, wishes: Wishes = ANY, *, among_started: bool = False
    ) -> Choice[Any]:
        """The first wish that can be granted now; ``auto`` stands for its whole order.

        With ``among_started`` engines that could not be warmed last time are passed over.
        Raises ``NotFound`` for a name that is no engine's, ``BadSettings`` for wrong options and
        ``EngineUnavailable`` when none can work, each saying what to do.
        """
        for wish in wishes:
            if wish.name != AUTO:
                spec_for(self.found, kind, wish)
        found = Choosing(among_started=among_started)
        async with self._choosing:
            for wish in wishes:
                await self._grant(kind, wish, found)
            if found.choice is None:
                await self._engines.close_unused()
                raise none_works(kind, found.refused)
            choice = replace(
                found.choice,
                chain=tuple(found.places),
                why=found.choice.why + and_then(found.choice, found.places),
            )
            for place in choice.chain:
                self._engines.get(place.spec, place.options).is_in_use = True
            serving = self._engines.get(choice.spec, choice.options)
            self._engines.serve(wishes, serving, choice.why)
        return choice

    def open(self, choice: Choice[EngineT]) -> EngineT:
        """The engine itself, the same object for every caller."""
        return self._engines.get(choice.spec, choice.options).engine

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
            Link(self._engines.get(place.spec, place.options).member, place.is_stand_in)
            for place in places
        ]
        chain = Chain[Any](kind, links, getattr(limits, kind))
        return _FALLBACKS[kind](chain)

    async def warm_up(self) -> None:
        """Warm every engine in use that is cold. One that can't start only stands by from then
        on; raises for the first that was chosen to serve."""
        await self._engines.warm_up()

    async def warm(self, choice: Choice[Any]) -> None:
        """Warm the chosen engine and no other, for somebody who names one in passing."""
        await self._engines.warm_in_passing(self._engines.get(choice.spec, choice.options))

    async def check(self) -> dict[tuple[Kind, str], Status]:
        """Ask every engine in use whether it can work now."""
        return await self._engines.check()

    def queues(self) -> Mapping[tuple[Kind, str], Queue]:
        """Who waits for each engine in use that serves a bounded number at a time."""
        return self._engines.queues()

    async def close(self) -> None:
        """Close all engines, the last opened first; one that fails doesn't keep the rest open."""
        if self.fetcher is not None:
            await self.fetcher.close()
        await self._engines.close()
        if self.speech is not None:
            await self.speech.close()

    @property
    def fetching(self) -> Mapping[str, str]:
        """The models on their way, ``ENGINE:MODEL``, and how far each has come."""
        return self.fetcher.under_way if self.fetcher else {}

    def rows(self) -> list[EngineRow]:
        """One row per engine that serves: those that hear, those that think, those that speak."""
        order: list[Kind] = ["stt", "llm", "tts"]
        serving = sorted(self._engines.serving, key=lambda each: order.index(each.spec.kind))
        return [engine_row(each.spec, each.options, each.why, each.room) for each in serving]

    def table(self) -> str:
        """The engines in use, and a line for each setting or package that needs one."""
        return "\n".join([format_table(self.rows()), *self._notes])

    def advice(self) -> str:
        """What to do for natural speech, where only the engines of last resort serve."""
        serving = {each.key for each in self._engines.serving}
        if not all(pair in serving for pair in LAST.items()):
            return ""
        return (
            "For natural speech and a language model on this machine: "
            f"{install_command('local')}, then parley models pull recommended "
            "(docs/guides/local-engines.md)."
        )

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
            status = await self._try(spec, options, among_started=found.among_started)
            if status.ok:
                found.places.append(place)
                why = why_chosen(wish, spec, found.refused)
                found.choice = found.choice or Choice(spec, options, why)
                continue
            found.refused.append((spec, status))
            if self._engines.has(spec, options):
                found.places.append(place)

    def _options(self, spec: Spec, wish: EngineWish) -> EngineOptions:
        options = options_for(spec, wish, self.values)
        return kept_offline(options) if self.is_offline else options

    async def _try(self, spec: Spec, options: EngineOptions, *, among_started: bool) -> Status:
        """Open the engine and ask it; one that can't work now may come back.

        A model that is all it misses is fetched: only engines that somebody named or set up are
        asked, and ``auto`` passes over those of this process without a model.
        """
        if self.is_offline and (status := offline_status(spec, options)):
            return status
        try:
            opened = self._engines.get(spec, options)
        except Exception as error:
            # Any package may bring an engine, and open it with any error: it is passed over.
            return refusal(error)
        if among_started and opened.start_failure is not None:
            return opened.start_failure
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
        missing = Missing(spec.kind, spec.name, model, tuple(addresses_of(opened.options)))
        self.fetcher.fetch(missing, engine, partial(opened.misses, model))
        return True


_FALLBACKS: Mapping[Kind, Any] = {
    "stt": FallbackTranscriber,
    "llm": FallbackChat,
    "tts": fallback_speech,
}
