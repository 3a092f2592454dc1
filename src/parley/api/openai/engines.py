"""Which engine hears or speaks when a client names a model."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from parley.core.errors import ModelNotFound
from parley.core.registry import did_you_mean
from parley.engines.catalog import EngineCatalog
from parley.engines.choice import LAST, Choice
from parley.engines.fallback.limits import ChainLimits, StageLimits
from parley.engines.found import Spec
from parley.engines.options import options_for
from parley.engines.shelf import ModelShelf, ShelfList
from parley.engines.spec import (
    Ability,
    EngineOptions,
    Kind,
    Synthesizer,
    Transcriber,
    Voice,
    voices_for,
)
from parley.engines.wish import ANY, EngineWish, Wishes

Guard = Callable[..., Any]
"""A FastAPI dependency: it raises for whoever may not, and leaves in ``request.state.caller`` an
object whose ``tenant`` says whose request it is."""

SpeechKind = Literal["stt", "tts"]

# A client that waits for a file is more patient than one who waits for a word.
_LIMITS = ChainLimits(
    stt=StageLimits(first_s=60.0, gap_s=60.0, patience_s=180.0),
    tts=StageLimits(first_s=20.0, gap_s=15.0, patience_s=60.0),
)
# Whoever tries names that nobody has must not make every engine list its models each time.
_LIST_STANDS_S = 10.0
_DEFAULT = re.compile(r"|auto|default")
_OPENAI_MODELS: dict[SpeechKind, re.Pattern[str]] = {
    "stt": re.compile(r"whisper-1|gpt-(\w+-)*transcribe(-diarize)?(-\d{4}-\d\d-\d\d)?"),
    "tts": re.compile(r"tts-1(-hd)?(-\d+)?|gpt-(\w+-)*tts(-\d{4}-\d\d-\d\d)?"),
}


async def open_to_all() -> None:
    """The guard of a house that needs no key."""


@dataclass(frozen=True)
class SpeakingEngine:
    """Who speaks. ``name`` is the engine's, ``model`` the one that it speaks with, ``tenant`` to
    whom."""

    engine: Synthesizer
    name: str
    model: str = ""
    owns_voice: Callable[[str], bool] = field(default=lambda voice: False)
    tenant: str = ""

    def voices(self) -> list[Voice]:
        """Those that the tenant may hear of."""
        return voices_for(self.tenant, self.engine.voices())


@dataclass(frozen=True)
class HearingEngine:
    """Who hears."""

    engine: Transcriber
    name: str
    model: str = ""
    abilities: frozenset[Ability] = frozenset()


class SpeakingDesk(Protocol):
    async def speaking(self, model: str, tenant: str) -> SpeakingEngine:
        """Open and warm; "" is the tenant's default one. Raises ``ModelNotFound``."""
        ...


class HearingDesk(Protocol):
    async def hearing(self, model: str, tenant: str) -> HearingEngine:
        """Open and warm; "" is the tenant's default one. Raises ``ModelNotFound``."""
        ...


@dataclass(frozen=True)
class _Found:
    wishes: Wishes
    choice: Choice[Any]
    engine: Any


def default_wishes(kind: Kind, tenant: str) -> Wishes:
    return ANY


class CatalogDesk:
    """Implements both desks over the catalog.

    A model is named by its engine (``builtin``, ``tts:piper``), by engine and model
    (``whisper:small``), or by its own id where one engine has it. OpenAI's names, ``auto`` and
    ``default`` mean the engines of a tenant's default agent: ``wishes`` says which those are.
    """

    def __init__(
        self, catalog: EngineCatalog, wishes: Callable[[Kind, str], Wishes] = default_wishes
    ) -> None:
        self._catalog = catalog
        self._wishes = wishes
        self._shelf = ModelShelf(catalog.found, catalog.values, is_offline=catalog.is_offline)
        self._listed = ShelfList()
        self._listed_until_s = 0.0
        self._found: dict[tuple[SpeechKind, str, str], _Found] = {}
        self._wished: dict[str, _Found] = {}
        self._choosing = asyncio.Lock()

    async def speaking(self, model: str, tenant: str) -> SpeakingEngine:
        return self._speaking(await self._find("tts", model, tenant), tenant)

    async def speaking_with(self, wishes: Wishes, tenant: str) -> SpeakingEngine:
        """The engine of these wishes, an agent's say."""
        async with self._choosing:
            name = repr([(wish.name, dict(wish.options)) for wish in wishes])
            if name not in self._wished:
                self._wished[name] = await self._open("tts", wishes)
            return self._speaking(self._wished[name], tenant)

    def _speaking(self, found: _Found, tenant: str) -> SpeakingEngine:
        spec, its_model = found.choice.spec, _model_of(found.choice)
        return SpeakingEngine(found.engine, spec.name, its_model, spec.owns_voice, tenant)

    async def hearing(self, model: str, tenant: str) -> HearingEngine:
        found = await self._find("stt", model, tenant)
        spec = found.choice.spec
        return HearingEngine(found.engine, spec.name, _model_of(found.choice), spec.abilities)

    async def _find(self, kind: SpeechKind, model: str, tenant: str) -> _Found:
        # Whoever names a model gets the same one as everybody.
        key = (kind, "", tenant) if _is_default(kind, model) else (kind, model, "")
        held = self._found.get(key)
        if held is not None and (key[1] or held.wishes == self._wishes(kind, tenant)):
            return held
        async with self._choosing:
            wishes = await self._wishes_for(*key)
            self._found[key] = await self._open(kind, wishes)
            return self._found[key]

    async def _open(self, kind: SpeechKind, wishes: Wishes) -> _Found:
        choice = await self._catalog.choose(kind, wishes)
        await self._catalog.warm(choice)
        return _Found(wishes, choice, self._catalog.chain(choice, _LIMITS))

    async def _wishes_for(self, kind: SpeechKind, model: str, tenant: str) -> Wishes:
        if not model:
            return self._wishes(kind, tenant)
        prefix, colon, rest = model.partition(":")
        named = rest if colon and prefix == kind else model
        specs = self._catalog.found.of(kind)
        if named in specs:
            return (self._by_name(kind, named),)
        engine, colon, its_model = named.partition(":")
        if colon and engine in specs:
            wish = await self._by_model([specs[engine]], its_model)
        else:
            wish = await self._by_model(list(specs.values()), named)
        if wish is None:
            does = "hears" if kind == "stt" else "speaks"
            raise ModelNotFound(
                f"There is no model {model!r} here that {does}.",
                hint=did_you_mean(named, specs),
                param="model",
            )
        return (wish,)

    def _by_name(self, kind: SpeechKind, name: str) -> EngineWish:
        wish = EngineWish(name, by="the request")
        spec = self._catalog.found.of(kind)[name]
        if name == LAST[kind] or spec.available(self._options(spec)):
            return wish
        # Whoever may ask for speech may not make this server download a model.
        raise ModelNotFound(
            f"The engine {name} is not set up here.",
            hint="parley engines says what it needs.",
            param="model",
        )

    async def _by_model(self, specs: Sequence[Spec], model: str) -> EngineWish | None:
        """The first engine that has this very model; nothing is fetched for a client."""
        set_up = [spec for spec in specs if spec.available(self._options(spec))]
        for spec in set_up:
            if getattr(self._options(spec), "model", "") == model:
                return EngineWish(spec.name, by="the request")
        choosable = {spec.name for spec in set_up if "model" in spec.options.model_fields}
        for engine in await self._engines_with(model) if choosable else ():
            if engine in choosable:
                return EngineWish(engine, {"model": model}, by="the request")
        return None

    async def _engines_with(self, model: str) -> list[str]:
        if time.monotonic() > self._listed_until_s:
            self._listed = await self._shelf.models()
            self._listed_until_s = time.monotonic() + _LIST_STANDS_S
        models = self._listed.models
        return [engine for engine, each in models if each.id == model and each.is_present]

    def _options(self, spec: Spec) -> EngineOptions:
        return options_for(spec, EngineWish(spec.name), self._catalog.values)


def _is_default(kind: SpeechKind, model: str) -> bool:
    return bool(_DEFAULT.fullmatch(model) or _OPENAI_MODELS[kind].fullmatch(model))


def _model_of(choice: Choice[Any]) -> str:
    return str(getattr(choice.options, "model", "") or choice.spec.name)
