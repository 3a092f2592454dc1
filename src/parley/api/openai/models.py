"""``/v1/models``, ``/v1/registry``, ``/api/ps``: what there is, could be, and is in use."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from parley.api.openai.answers import (
    EngineLoaded,
    EnginesInUse,
    ModelEntry,
    ModelPage,
    Removed,
)
from parley.api.openai.bodies import tenant_of
from parley.api.openai.engines import Guard
from parley.api.openai.flowing import Awaited
from parley.api.openai.models_list import TASKS, ListedModel
from parley.core.answers import ENGINE_FAULTS, answers
from parley.core.errors import InvalidValue, ModelNotFound, NotSupported
from parley.core.log import get_logger
from parley.engines.keeper import PullProgress
from parley.engines.shelf import ModelName
from parley.engines.table import EngineRow

log = get_logger(__name__)

ModelId = Annotated[str, Path(examples=["agent:receptionist"])]
EngineId = Annotated[str, Path(examples=["stt:builtin"])]
Task = Annotated[str | None, Query(json_schema_extra={"enum": [*TASKS.values(), None]})]
OWNER = "parley"
# Speaches answers so, and its users' scripts look at it.
FETCHED_STATUS, WAS_THERE_STATUS = 200, 201


class Listed(Protocol):
    async def all(self, tenant: str) -> list[ListedModel]: ...

    def forget(self) -> None: ...


class Shelf(Protocol):
    """The models that engines keep."""

    def pull(self, name: ModelName) -> AsyncIterator[PullProgress]: ...

    async def remove(self, name: ModelName) -> None: ...


class InUse(Protocol):
    def rows(self) -> Sequence[EngineRow]:
        """The engines that serve."""
        ...


def models_router(
    listed: Listed,
    shelf: Shelf,
    engines: InUse,
    guard: Guard,
    admin: Guard,
    *,
    may_fetch: bool = True,
) -> APIRouter:
    """``guard`` is for whoever may ask models, ``admin`` for whoever may fetch and remove them."""
    models = _Models(listed, shelf, engines, may_fetch)
    router = APIRouter(tags=["models"])
    for method, path, does, summary, told in models.routes():
        router.add_api_route(
            path,
            does,
            methods=[method],
            summary=summary,
            responses=told,
            dependencies=[Depends(guard if method == "GET" else admin)],
        )
    return router


class _Models:
    def __init__(self, listed: Listed, shelf: Shelf, engines: InUse, may_fetch: bool) -> None:
        self._listed = listed
        self._shelf = shelf
        self._engines = engines
        self._may_fetch = may_fetch
        self._since_s = int(time.time())

    def routes(self) -> list[tuple[str, str, Callable[..., Any], str, dict[int | str, Any]]]:
        """Method, path, handler, what it does in words, and what it answers."""
        page, entry = answers(400, ok=ModelPage), answers(404, ok=ModelEntry)
        kept = answers(400, 404, *ENGINE_FAULTS, ok=Removed)
        fetched = answers(400, 404, *ENGINE_FAULTS, ok=ModelEntry)
        fetched |= answers(ok=ModelEntry, status=WAS_THERE_STATUS)
        loaded = answers(404, ok=EngineLoaded)
        one, engine = "/v1/models/{model_id:path}", "/api/ps/{model_id:path}"
        return [
            ("GET", "/v1/models", self.list, "List models", page),
            ("GET", "/v1/registry", self.registry, "List models that could be fetched", page),
            ("GET", one, self.get, "Show a model", entry),
            ("POST", one, self.fetch, "Fetch a model", fetched),
            ("DELETE", one, self.remove, "Remove a model", kept),
            ("GET", "/api/ps", self.loaded, "List the engines in use", answers(ok=EnginesInUse)),
            ("POST", engine, self.load, "Load an engine", loaded),
            ("DELETE", engine, self.unload, "Unload an engine", answers(400, 404)),
        ]

    async def list(self, request: Request, task: Task = None) -> dict[str, Any]:
        """What can be named as a model now; ``task`` picks those that do it."""
        found = await self._of_task(request, task)
        return self._page([each for each in found if each.is_present])

    async def registry(self, request: Request, task: Task = None) -> dict[str, Any]:
        """What could be fetched and isn't there yet."""
        found = await self._of_task(request, task)
        return self._page([each for each in found if not each.is_present])

    async def get(self, request: Request, model_id: ModelId) -> dict[str, Any]:
        return self._described(await self._find(request, model_id))

    async def fetch(self, request: Request, model_id: ModelId) -> Response:
        """Fetch a model; answers when it is there. Going away stops the download."""
        known = await self._listed.all(tenant_of(request))
        found = next((each for each in known if model_id in each.names), None)
        if found is not None and found.is_present:
            return JSONResponse(self._described(found), WAS_THERE_STATUS)
        if not self._may_fetch:
            raise NotSupported("Nothing is fetched while Parley is offline (PARLEY_OFFLINE).")
        return Awaited(partial(self._fetched, request, found.id if found else model_id))

    async def remove(self, request: Request, model_id: ModelId) -> dict[str, Any]:
        found = await self._find(request, model_id)
        if not found.is_kept:
            raise NotSupported(
                f"{found.id} can't be removed: Parley doesn't keep it.",
                hint="Remove an agent's file, or the engine's settings.",
                param="model",
            )
        await self._shelf.remove(ModelName(found.engine, found.model))
        self._listed.forget()
        log.info("model_removed", model=found.id)
        return {"id": found.id, "object": "model", "deleted": True}

    async def loaded(self) -> dict[str, Any]:
        """The engines in use; ``models`` are their names alone."""
        rows = self._engines.rows()
        return {
            "models": [f"{row.kind}:{row.engine}" for row in rows],
            "engines": [
                {
                    "kind": row.kind,
                    "engine": row.engine,
                    "model": row.model,
                    "where": row.where,
                    "why": row.why,
                }
                for row in rows
            ],
        }

    async def load(self, model_id: EngineId) -> Response:
        """An engine in use is loaded; another is loaded when it is first asked."""
        self._require_engine(model_id)
        return JSONResponse({"id": model_id, "loaded": True}, FETCHED_STATUS)

    async def unload(self, model_id: EngineId) -> Response:
        self._require_engine(model_id)
        raise NotSupported(
            f"{model_id} stays loaded: calls and requests share it.",
            hint="Take it out of the agents' engines, or restart Parley without it.",
        )

    async def _fetched(self, request: Request, model_id: str) -> Response:
        pulling = self._shelf.pull(ModelName.read(model_id))
        async with aclosing(cast("Any", pulling)):
            async for _ in pulling:
                pass
        self._listed.forget()
        log.info("model_fetched", model=model_id)
        return JSONResponse(self._described(await self._find(request, model_id)), FETCHED_STATUS)

    async def _of_task(self, request: Request, task: str | None) -> list[ListedModel]:
        if task is not None and task not in TASKS.values():
            raise InvalidValue(f"task: it is one of {', '.join(TASKS.values())}.", param="task")
        found = await self._listed.all(tenant_of(request))
        return [each for each in found if task is None or task in each.tasks]

    async def _find(self, request: Request, model_id: str) -> ListedModel:
        for each in await self._listed.all(tenant_of(request)):
            if each.is_present and model_id in each.names:
                return each
        raise ModelNotFound(
            f"There is no model {model_id!r}.", hint="GET /v1/models lists them.", param="model"
        )

    def _require_engine(self, model_id: str) -> None:
        rows = self._engines.rows()
        names = {name for row in rows for name in (row.engine, f"{row.kind}:{row.engine}")}
        if model_id not in names:
            raise ModelNotFound(
                f"No engine {model_id!r} is in use.", hint=f"In use: {', '.join(sorted(names))}."
            )

    def _page(self, models: Sequence[ListedModel]) -> dict[str, Any]:
        return {"object": "list", "data": [self._described(each) for each in models]}

    def _described(self, model: ListedModel) -> dict[str, Any]:
        return {
            "id": model.id,
            "object": "model",
            "created": self._since_s,
            "owned_by": model.engine or OWNER,
            "task": model.tasks[0],
            "tasks": model.tasks,
            "description": model.says,
        }
