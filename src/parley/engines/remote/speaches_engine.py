"""What the engines that hear and that speak with Speaches have in common as engines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from parley.core.errors import ModelMissing
from parley.engines.keeper import Model, PullProgress
from parley.engines.remote.speaches import SpeachesHealth, SpeachesModels, SpeachesOptions
from parley.engines.remote.speech_server import SpeechServer
from parley.engines.spec import Status


class SpeachesEngine:
    """The part that is about models. Implements ``ModelKeeper``."""

    def __init__(self, options: SpeachesOptions, model: str) -> None:
        is_named = "model" in options.model_fields_set
        self._models = SpeachesModels(options, model, is_named=is_named)

    async def check(self) -> Status:
        return await self._models.check()

    async def health(self) -> Sequence[SpeachesHealth]:
        return await self._models.health()

    async def models(self) -> Sequence[Model]:
        return await self._models.models()

    def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        return self._models.pull(model)

    async def remove(self, model: str) -> None:
        await self._models.remove(model)

    async def close(self) -> None:
        await self._models.close()

    async def supply(self, server: SpeechServer, missing: ModelMissing) -> None:
        """A request missed its model: have it fetched."""
        await self._models.supply(server, missing)


def is_set_up(options: SpeachesOptions) -> bool:
    return "base_url" in options.model_fields_set
