"""Every model that can be named here: agents, engines, and the models that engines keep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from parley.agents.schema import Agent
from parley.engines.choice import AUTO_ORDER, LAST
from parley.engines.found import FoundEngines, Spec
from parley.engines.options import options_for
from parley.engines.shelf import ShelfList
from parley.engines.spec import Kind
from parley.engines.table import EngineRow
from parley.engines.wish import EngineWish

AGENT_PREFIX = "agent:"
ANY_NAME = "*"
"""The alias that stands for every name that is not known."""
FRESH_S = 10.0
"""So long a list is given out again before the engines' servers are asked anew."""
TASKS: Mapping[Kind, str] = {
    "stt": "automatic-speech-recognition",
    "llm": "text-generation",
    "tts": "text-to-speech",
}


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model by the name that a request gives it.

    ``engine`` is "" for an agent and ``model`` "" for an engine that has but one. With
    ``is_kept`` the engine itself has told of it, and of all others that it has.
    """

    id: str
    kinds: tuple[Kind, ...]
    engine: str = ""
    model: str = ""
    is_kept: bool = False
    is_present: bool = True
    bytes: int = 0
    says: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What it answers to: its id, and its model's name alone."""
        return (self.id, self.model) if self.model else (self.id,)

    @property
    def tasks(self) -> list[str]:
        return [TASKS[kind] for kind in self.kinds]


class AgentList(Protocol):
    def of(self, tenant: str) -> Sequence[Agent]:
        """The agents that the tenant can call, the default one first."""
        ...


class Shelf(Protocol):
    async def models(self) -> ShelfList: ...


class ModelList:
    """Knows the names. ``serving`` tells which engines are in use, ``values`` what settings say."""

    def __init__(
        self,
        agents: AgentList,
        found: FoundEngines,
        values: Mapping[str, Any],
        shelf: Shelf,
        serving: Callable[[], Sequence[EngineRow]],
        *,
        aliases: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agents = agents
        self._aliases = aliases or {}
        self._found = found
        self._values = values
        self._shelf = shelf
        self._serving = serving
        self._clock = clock
        self._asking = asyncio.Lock()
        self._kept = ShelfList()
        self._fresh_until_s = float("-inf")

    async def all(self, tenant: str) -> list[ListedModel]:
        """Agents first, then engines by kind in the order in which ``auto`` takes them."""
        kept = await self._kept_models()
        listed = [
            ListedModel(f"{AGENT_PREFIX}{agent.name}", ("llm",), says=agent.label)
            for agent in self._agents.of(tenant)
        ]
        agents = {each.id for each in listed}
        named: dict[str, ListedModel] = {}
        for spec in self._specs():
            for model in self._of(spec, kept):
                other = named.get(model.id)
                if other is not None:
                    model = _joined(other, model)
                named[model.id] = model
        also = [
            ListedModel(alias, ("llm",), says=f"Another name for {model}.")
            for alias, model in self._aliases.items()
            # Another tenant's agent has no other name either.
            if alias != ANY_NAME and (model in agents or not model.startswith(AGENT_PREFIX))
        ]
        return [*listed, *named.values(), *also]

    def forget(self) -> None:
        """A model has come or gone."""
        self._fresh_until_s = float("-inf")

    async def _kept_models(self) -> ShelfList:
        async with self._asking:
            if self._clock() >= self._fresh_until_s:
                self._kept = await self._shelf.models()
                self._fresh_until_s = self._clock() + FRESH_S
            return self._kept

    def _specs(self) -> list[Spec]:
        """The engines that are set up or in use."""
        rows = {(row.kind, row.engine) for row in self._serving()}
        kinds: tuple[Kind, ...] = ("llm", "stt", "tts")
        return [
            spec
            for kind in kinds
            for spec in in_auto_order(self._found, kind)
            if (kind, spec.name) in rows or spec.available(self._options(spec))
        ]

    def _of(self, spec: Spec, kept: ShelfList) -> list[ListedModel]:
        models = [model for engine, model in kept.models if engine == spec.name]
        if models:
            return [
                ListedModel(
                    f"{spec.name}:{each.id}",
                    (spec.kind,),
                    spec.name,
                    each.id,
                    is_kept=True,
                    is_present=each.is_present,
                    bytes=each.bytes,
                    says=spec.summary,
                )
                for each in models
            ]
        model = str(getattr(self._options(spec), "model", "") or "")
        name = f"{spec.name}:{model}" if model else spec.name
        # The built-in engines hear and speak under one name, and are two.
        id = name if spec.kind == "llm" else f"{spec.kind}:{name}"
        return [ListedModel(id, (spec.kind,), spec.name, model, says=spec.summary)]

    def _options(self, spec: Spec) -> Any:
        return options_for(spec, EngineWish(spec.name), self._values)


def in_auto_order(found: FoundEngines, kind: Kind) -> list[Spec]:
    """The engines of a kind as ``auto`` prefers them, those of other packages before the last."""
    specs = found.of(kind)
    known = [*AUTO_ORDER[kind], LAST[kind]]
    names = [*AUTO_ORDER[kind], *sorted(set(specs) - set(known)), LAST[kind]]
    return [specs[name] for name in names if name in specs]


def _joined(one: ListedModel, other: ListedModel) -> ListedModel:
    """A server that both hears and speaks doesn't say which of its models does what."""
    return replace(one, kinds=(*one.kinds, *other.kinds))
