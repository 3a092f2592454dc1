"""The models of all engines that keep some: listed, fetched and removed by ``ENGINE:MODEL``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from parley.core.errors import BadRequest, EngineUnavailable, NotFound, ParleyError
from parley.core.registry import did_you_mean
from parley.engines.found import FoundEngines, Spec
from parley.engines.keeper import Model, ModelKeeper, PullProgress
from parley.engines.offline import kept_offline, offline_status
from parley.engines.options import options_for
from parley.engines.wish import EngineWish


@dataclass(frozen=True)
class ModelName:
    """``ollama:llama3.2:3b`` is engine ``ollama`` and model ``llama3.2:3b``."""

    engine: str
    model: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.model}"

    @classmethod
    def read(cls, text: str) -> ModelName:
        """Raises ``BadRequest`` for text that has another form."""
        engine, colon, model = text.partition(":")
        if not (engine and colon and model):
            raise BadRequest(
                f"{text!r} is no model's name.",
                hint="Write ENGINE:MODEL, such as ollama:llama3.2:3b.",
            )
        return cls(engine, model)


@dataclass(frozen=True)
class ShelfList:
    """The models found, and what kept others from being looked for."""

    models: list[tuple[str, Model]] = field(default_factory=list[tuple[str, Model]])
    problems: list[str] = field(default_factory=list[str])


class ModelShelf:
    """Models by engine. An engine that both hears and speaks is asked once.

    Offline, engines beyond this network are told of and not asked.
    """

    def __init__(
        self, found: FoundEngines, values: Mapping[str, Any], *, is_offline: bool = False
    ) -> None:
        self._values = values
        self._is_offline = is_offline
        self._specs: dict[str, list[Spec]] = {}
        for spec in found.all():
            self._specs.setdefault(spec.name, []).append(spec)

    @property
    def recommended(self) -> list[ModelName]:
        """The models that make this machine hear, think and speak naturally by itself."""
        specs = [spec for specs in self._specs.values() for spec in specs]
        return [ModelName(spec.name, spec.recommended) for spec in specs if spec.recommended]

    async def models(self) -> ShelfList:
        """Every model of every engine that is set up, has models and answers."""
        found = ShelfList()
        for specs in self._specs.values():
            for spec in specs:
                try:
                    async with self._keeper(spec) as keeper:
                        if keeper is None:
                            continue
                        found.models.extend((spec.name, each) for each in await keeper.models())
                except ParleyError as error:
                    found.problems.append(f"{spec.name}: {error}")
                break
        return found

    async def pull(self, name: ModelName) -> AsyncGenerator[PullProgress]:
        """Fetch a model. Raises ``NotFound`` or ``NotSupported`` for an engine without models."""
        async with AsyncExitStack() as stack:
            keeper = await self._keeper_of(name, stack)
            progress = cast("AsyncGenerator[PullProgress]", keeper.pull(name.model))
            async with aclosing(progress):
                async for step in progress:
                    yield step

    async def remove(self, name: ModelName) -> None:
        async with AsyncExitStack() as stack:
            keeper = await self._keeper_of(name, stack)
            await keeper.remove(name.model)

    async def _keeper_of(self, name: ModelName, stack: AsyncExitStack) -> ModelKeeper:
        if name.engine not in self._specs:
            hint = did_you_mean(name.engine, self._specs)
            raise NotFound(f"There is no engine {name.engine!r}.", hint=hint)
        for spec in self._specs[name.engine]:
            keeper = await stack.enter_async_context(self._keeper(spec, is_named=True))
            if keeper is not None:
                return keeper
        raise BadRequest(f"The engine {name.engine} keeps no models that could be fetched.")

    @asynccontextmanager
    async def _keeper(
        self, spec: Spec, *, is_named: bool = False
    ) -> AsyncGenerator[ModelKeeper | None]:
        """The engine, open, if it keeps models and is of this process, set up, or named."""
        try:
            options = options_for(spec, EngineWish(spec.name), self._values)
            if not (is_named or spec.is_offline or spec.available(options)):
                yield None
                return
            engine: Any = spec.open(kept_offline(options) if self._is_offline else options)
        except ParleyError:
            # What is not installed or not set up has nothing to list; who names it is told.
            if is_named:
                raise
            yield None
            return
        keeps_models = isinstance(engine, ModelKeeper)
        try:
            if keeps_models and self._is_offline and (status := offline_status(spec, options)):
                raise EngineUnavailable(f"{status.detail}.", hint=status.hint)
            yield engine if keeps_models else None
        finally:
            await engine.close()
