"""Finds the engine or the agent that a model's name means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from parley.agents.schema import Agent
from parley.api.openai.chat_models import (
    AGENT_PREFIX,
    WRITTEN_MAX_TOKENS,
    AgentAnswers,
    Answerer,
    EngineAnswers,
)
from parley.api.openai.models_list import ANY_NAME, ListedModel
from parley.core.errors import ModelNotFound, NotFound
from parley.engines.catalog import EngineCatalog
from parley.engines.fallback.thinking import FallbackChat
from parley.engines.llm.chat_api import RemoteChatOptions
from parley.engines.wish import AUTO, EngineWish, Wishes
from parley.session.turn_runner import TurnRunner

MOST_SHOWN = 40
_KIND_PREFIX = "llm:"
_BY = "the request's model"


class Agents(Protocol):
    def get(self, name: str = "", tenant: str = "") -> Agent:
        """Raises ``NotFound``."""
        ...


class Listed(Protocol):
    async def all(self, tenant: str) -> list[ListedModel]: ...


@dataclass(frozen=True, slots=True)
class _Meant:
    """An engine by wish; ``model`` is the one to ask it for, "" its own."""

    wishes: Wishes
    model: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    """A chain of engines that is open."""

    chain: FallbackChat
    max_tokens: int
    keeps_format: bool


class ChatDirectory:
    """Reads model names.

    A name is ``agent:NAME``; ``auto``; an engine's (``ollama``, ``llm:ollama``); an engine's with
    one of its models (``ollama:llama3.2:3b``); or a model's alone, which the first engine that
    has it answers. ``aliases`` come first: other names for these, ``*`` for every name that is
    not known. ``usual`` is what ``auto`` means.
    """

    def __init__(
        self,
        catalog: EngineCatalog,
        agents: Agents,
        runner: TurnRunner,
        models: Listed,
        *,
        usual: Wishes,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._catalog = catalog
        self._agents = agents
        self._runner = runner
        self._models = models
        self._usual = usual
        self._aliases = aliases or {}
        self._lines: dict[tuple[tuple[str, str], ...], _Line] = {}
        self._opening = asyncio.Lock()

    async def find(self, model: str, tenant: str) -> Answerer:
        name = self._meaning(model, tenant) or model
        try:
            return await self._find(name, tenant)
        except ModelNotFound:
            anybody = self._meaning(ANY_NAME, tenant)
            if anybody is None or name == anybody or name.startswith(AGENT_PREFIX):
                raise
            return await self._find(anybody, tenant)

    def _meaning(self, alias: str, tenant: str) -> str | None:
        """What the alias stands for. One for another tenant's agent is none at all."""
        name = self._aliases.get(alias)
        if name is not None and name.startswith(AGENT_PREFIX):
            try:
                self._agents.get(name.removeprefix(AGENT_PREFIX), tenant)
            except NotFound:
                return None
        return name

    async def choose_again(self) -> None:
        """A model has come, or an engine: what was settled on may not be the best any more."""
        self._lines.clear()

    async def _find(self, name: str, tenant: str) -> Answerer:
        if name.startswith(AGENT_PREFIX):
            try:
                agent = self._agents.get(name.removeprefix(AGENT_PREFIX) or "?", tenant)
            except NotFound as error:
                raise ModelNotFound(error.message, hint=error.hint, param="model") from error
            return AgentAnswers(agent, self._runner)
        plain = name.removeprefix(_KIND_PREFIX)
        if plain == AUTO:
            return await self._engine(_Meant(self._usual))
        listed = [each for each in await self._models.all(tenant) if "llm" in each.kinds]
        return await self._engine(self._meant(plain, listed))

    def _meant(self, name: str, listed: Sequence[ListedModel]) -> _Meant:
        """The engine of this name, or the one whose model has it."""
        # An engine that nobody set up isn't listed: clients may not make the house open, or even
        # fetch, what it doesn't use.
        if name and any(each.engine == name for each in listed):
            return _Meant((EngineWish(name, by=_BY),))
        for each in listed:
            if each.engine and each.is_present and name in each.names:
                return self._with_model(each.engine, each.model)
        engine, _, model = name.partition(":")
        spec = self._catalog.found.of("llm").get(engine)
        own = [each for each in listed if each.engine == engine]
        has_told_all = any(each.is_kept for each in own)
        is_remote = spec is not None and issubclass(spec.options, RemoteChatOptions)
        if own and model and is_remote and not has_told_all:
            # A server that doesn't list its models says itself what it hasn't.
            return self._with_model(engine, model)
        raise _unknown(name, listed)

    def _with_model(self, engine: str, model: str) -> _Meant:
        spec = self._catalog.found.of("llm")[engine]
        if not model:
            return _Meant((EngineWish(engine, by=_BY),))
        # One connection serves all models of a server; in this process each is loaded by itself.
        if issubclass(spec.options, RemoteChatOptions):
            return _Meant((EngineWish(engine, by=_BY),), model)
        return _Meant((EngineWish(engine, {"model": model}, by=_BY),))

    async def _engine(self, meant: _Meant) -> EngineAnswers:
        line = self._lines.get(_key(meant.wishes)) or await self._connected(meant.wishes)
        return EngineAnswers(
            line.chain,
            model=meant.model,
            max_tokens=line.max_tokens,
            keeps_format=line.keeps_format,
        )

    async def _connected(self, wishes: Wishes) -> _Line:
        key = _key(wishes)
        async with self._opening:
            if key not in self._lines:
                self._lines[key] = await self._open(wishes)
            return self._lines[key]

    async def _open(self, wishes: Wishes) -> _Line:
        choice = await self._catalog.choose("llm", wishes)
        await self._catalog.warm(choice)
        is_asked_for = "max_tokens" in choice.options.model_fields_set
        own = getattr(choice.options, "max_tokens", None) if is_asked_for else None
        return _Line(
            self._catalog.chain(choice), own or WRITTEN_MAX_TOKENS, choice.spec.keeps_format
        )


def _unknown(name: str, listed: Sequence[ListedModel]) -> ModelNotFound:
    known = [AUTO, *(each.id for each in listed if each.is_present)]
    shown = ", ".join(known[:MOST_SHOWN]) + (", …" if known[MOST_SHOWN:] else "")
    what = f"There is no model {name!r}." if name else "No model was named."
    return ModelNotFound(what, hint=f"Known: {shown}.", param="model")


def _key(wishes: Wishes) -> tuple[tuple[str, str], ...]:
    """Options may hold lists, which can't be looked up."""
    return tuple((wish.name, repr(dict(wish.options))) for wish in wishes)
