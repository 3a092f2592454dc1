"""Speaches: its health and its models, for the engines that hear and speak with it.

Speaches answers 404 for a model that nobody asked it to fetch. Asking takes as long as the
download does, and tells nothing of how far it has come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr

from parley.core.errors import (
    EngineFailed,
    EngineRefusedRequest,
    EngineUnavailable,
    ModelMissing,
    NotFound,
    ParleyError,
)
from parley.core.log import get_logger
from parley.engines.keeper import Model, PullProgress
from parley.engines.remote.addresses import HttpUrls
from parley.engines.remote.instances import Instances
from parley.engines.remote.speech_server import SpeechServer, listed
from parley.engines.remote.standing import standing
from parley.engines.spec import EngineOptions, Status

log = get_logger(__name__)

NAME = "Speaches"
ENGINE = "speaches"
PULL_LIMIT_S = 2 * 3600.0
LOAD_LIMIT_S = 120.0
REGISTRY_LIMIT_S = 5.0
TELL_EVERY_S = 1.0
# One that could not be fetched is not asked for again at each turn of a call.
PULL_AGAIN_AFTER_S = 60.0
# The registry lists thousands; these publish the ones that Speaches' own documents name.
_PUBLISHERS = ("speaches-ai/", "Systran/")


class SpeachesOptions(EngineOptions):
    """What hearing and speaking with Speaches have in common."""

    base_url: HttpUrls = Field(
        ("http://127.0.0.1:8000",), description="Where Speaches answers; or a list of such."
    )
    api_key: SecretStr = Field(SecretStr(""), description="The key, if Speaches has one.")
    timeout_s: float = Field(
        30.0, gt=0, le=600, description="The longest silence while it works, in seconds."
    )
    pulls_model: bool = Field(
        True, description="Have Speaches fetch the model that was named, if it is missing."
    )
    max_concurrent: int | None = Field(None, ge=1, description="Requests under way at once.")
    pull_wait_s: float = Field(
        20.0, ge=0, le=600, description="How long a call waits for a model on its way."
    )


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What Speaches says of a model that it has. ``rate_hz`` is 0 for one that doesn't speak."""

    id: str
    task: str = ""
    rate_hz: int = 0
    voices: tuple[tuple[str, str], ...] = ()
    """Id and language of each."""


@dataclass(frozen=True, slots=True)
class SpeachesHealth:
    """One server, as ``/health/speaches`` tells of it."""

    url: str
    is_reachable: bool
    has_model: bool
    took_ms: float
    detail: str = ""
    models: tuple[str, ...] = ()


@dataclass(eq=False)
class _Fetch:
    task: asyncio.Task[None]
    started_s: float = field(default_factory=time.monotonic)


class SpeachesModels:
    """The models of one or several Speaches servers. ``model`` is the one that is used."""

    def __init__(self, options: SpeachesOptions, model: str, *, is_named: bool) -> None:
        self._options = options
        self.model = model
        self._is_named = is_named
        self.servers = Instances(options.base_url, self._connect, SpeechServer.close)
        self.known: dict[str, KnownModel] = {}
        self._fetches: dict[tuple[str, str], _Fetch] = {}

    async def check(self) -> Status:
        return await standing(self.servers.all, self._state)

    async def health(self) -> list[SpeachesHealth]:
        """What each server says of itself and of the model, for ``/health/speaches``."""
        return list(await asyncio.gather(*(self._health(each.client) for each in self.servers.all)))

    async def load(self) -> None:
        """Have each server take the model into memory, which the first request would wait for."""
        await asyncio.gather(*(self._load(each.client) for each in self.servers.all))

    async def models(self) -> list[Model]:
        """The models that any server has, then well-known ones that it could fetch."""
        first, *others = self.servers.all
        present = dict.fromkeys(await self._present(first.client))
        for instance in others:
            present.update(dict.fromkeys(await self._present(instance.client)))
        wanted = [self.model, *await self._registry(first.client)]
        absent = dict.fromkeys(each for each in wanted if each not in present)
        return [
            *(Model(each) for each in present),
            *(Model(each, is_present=False) for each in absent),
        ]

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Fetch a model to each server that can be reached, with a word every second.

        Speaches goes on downloading when the iterator is closed; there is no way to stop it.
        """
        failures: list[EngineUnavailable] = []
        for instance in self.servers.all:
            server, started_s = instance.client, time.monotonic()
            asking = asyncio.create_task(self._fetch(server, model), name="speaches-pull")
            try:
                while not asking.done():
                    passed_s = time.monotonic() - started_s
                    says = f"{server.where} is fetching it, {passed_s:.0f} s so far"
                    yield PullProgress(model, says=says)
                    await asyncio.wait({asking}, timeout=TELL_EVERY_S)
                await asking
            except EngineUnavailable as error:
                failures.append(error)
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        if len(failures) == len(self.servers.all):
            raise failures[0]
        yield PullProgress(model, says="is here")

    async def remove(self, model: str) -> None:
        """Raises ``NotFound`` when no server has it."""
        results = await asyncio.gather(
            *(self._remove(each.client, model) for each in self.servers.all)
        )
        self.known.pop(model, None)
        if not any(results):
            raise NotFound(f"{NAME} has no model {model}.", hint="See: parley models list")

    async def supply(self, server: SpeechServer, missing: ModelMissing) -> None:
        """Have a server fetch a model that a call misses, once for all calls.

        Waits for ``pull_wait_s``. Raises ``ModelMissing`` when it takes longer (it goes on), when
        nobody named the model, and when it failed lately.
        """
        if not (self._is_named and self._options.pulls_model):
            raise missing
        key = (server.url, missing.model)
        fetch = self._fetches.get(key)
        if fetch is not None and fetch.task.done():
            if time.monotonic() - fetch.started_s < PULL_AGAIN_AFTER_S and fetch.task.exception():
                raise missing
            fetch = None
        if fetch is None:
            log.info("speaches_pull_started", model=missing.model, url=server.where)
            asking = asyncio.create_task(self._fetch(server, missing.model), name="speaches-pull")
            fetch = self._fetches[key] = _Fetch(asking)
        await asyncio.wait({fetch.task}, timeout=self._options.pull_wait_s)
        if not fetch.task.done():
            raise ModelMissing(
                f"{NAME} at {server.where} is still fetching {missing.model}.",
                model=missing.model,
                hint="Wait until it is there.",
            ) from missing
        fetch.task.result()

    async def close(self) -> None:
        tasks = [fetch.task for fetch in self._fetches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.servers.close()

    def _connect(self, url: str) -> SpeechServer:
        root = url.removesuffix("/v1")
        return SpeechServer(
            NAME,
            f"{root}/v1",
            api_key=self._options.api_key.get_secret_value(),
            timeout_s=self._options.timeout_s,
            pulls_as=ENGINE,
        )

    async def _state(self, server: SpeechServer) -> Status:
        if await self._has_model(server):
            return Status(True, self.model)
        missing = server.model_missing(self.model)
        return Status(False, f"no model {self.model}", missing.hint, self.model)

    async def _health(self, server: SpeechServer) -> SpeachesHealth:
        started_s = time.monotonic()
        reached = has_model = False
        detail = ""
        try:
            async with asyncio.timeout(REGISTRY_LIMIT_S):
                async with server.ask("GET", f"{server.root}/health"):
                    reached = True
                has_model = await self._has_model(server)
                detail = "" if has_model else f"no model {self.model}"
        except (ParleyError, TimeoutError) as error:
            detail = str(error) or "no answer in time"
        took_ms = (time.monotonic() - started_s) * 1000
        return SpeachesHealth(
            server.where, reached, has_model, took_ms, detail, tuple(self.known) if reached else ()
        )

    async def _has_model(self, server: SpeechServer) -> bool:
        if self.model in await self._present(server):
            return True
        try:
            # An alias such as whisper-1 stands in no list, but is known here.
            found = await server.get(f"models/{quote(self.model)}", model=self.model)
        except ModelMissing:
            return False
        self._learn({**found, "id": self.model})
        return True

    async def _present(self, server: SpeechServer) -> list[str]:
        entries = listed(await server.get("models"), "data")
        for entry in entries:
            self._learn(entry)
        return [str(entry["id"]) for entry in entries]

    def _learn(self, entry: dict[str, Any]) -> None:
        voices = tuple(
            (str(voice.get("id") or voice.get("name")), str(voice.get("language") or ""))
            for voice in listed(entry.get("voices"), "")
        )
        rate_hz, task = int(entry.get("sample_rate") or 0), str(entry.get("task") or "")
        self.known[entry["id"]] = KnownModel(entry["id"], task, rate_hz, voices)

    async def _registry(self, server: SpeechServer) -> Sequence[str]:
        """What Speaches could fetch; nothing while it can't reach the hub."""
        try:
            async with asyncio.timeout(REGISTRY_LIMIT_S):
                entries = listed(await server.get("registry"), "data")
        except (EngineFailed, EngineRefusedRequest, TimeoutError) as error:
            log.debug("speaches_registry_unknown", url=server.where, error=str(error))
            return []
        ids = sorted(str(entry.get("id", "")) for entry in entries)
        return [each for each in ids if each.startswith(_PUBLISHERS)]

    async def _load(self, server: SpeechServer) -> None:
        path = f"{server.root}/api/ps/{quote(self.model)}"
        try:
            async with server.ask("POST", path, model=self.model, silent_s=LOAD_LIMIT_S):
                log.info("speaches_model_loaded", model=self.model, url=server.where)
        except (EngineFailed, EngineRefusedRequest) as error:
            # It is there already, or the first request has to wait for it.
            log.debug("speaches_model_not_loaded", url=server.where, error=error.message)

    async def _fetch(self, server: SpeechServer, model: str) -> None:
        path = f"models/{quote(model)}"
        try:
            async with server.ask("POST", path, model=model, silent_s=PULL_LIMIT_S) as response:
                await response.aread()
        except ModelMissing as error:
            raise NotFound(
                f"{NAME} at {server.where} knows no model {model} that it could fetch.",
                hint="Its registry lists those that it can: GET /v1/registry.",
            ) from error
        except EngineUnavailable as error:
            error.hint = error.hint or "Has Speaches a way to huggingface.co?"
            raise
        log.info("speaches_model_fetched", model=model, url=server.where)

    async def _remove(self, server: SpeechServer, model: str) -> bool:
        try:
            async with server.ask("DELETE", f"models/{quote(model)}", model=model):
                return True
        except ModelMissing:
            return False
