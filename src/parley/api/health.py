"""Health: is the process alive, may calls be sent to it, do the engines answer?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel

from parley.core.answers import answers
from parley.core.errors import NotFound
from parley.engines.fallback.places import Queue
from parley.engines.spec import Kind, Status

# Requirement 001 names these two whether or not they are used.
ALWAYS_NAMED = ("speaches", "ollama")
NOT_CONFIGURED = "not_configured"

EngineKind = Annotated[str, Path(examples=["tts"])]
EngineName = Annotated[str, Path(examples=["builtin"])]
CheckResult = bool | Literal["not_configured"]


class Probe(BaseModel):
    """The server's state in a word."""

    status: Literal["live", "ready", "draining"]


class Health(BaseModel):
    """Whether each engine in use answers, and the models on their way."""

    status: Literal["healthy", "degraded"]
    checks: dict[str, CheckResult]
    fetching: dict[str, str] = {}


class QueueHealth(BaseModel):
    """The line before an engine that serves a bounded number of requests at a time."""

    places: int
    busy: int
    waiting: int
    waiting_limit: int
    refused: int
    last_wait_ms: int
    longest_wait_ms: int


class EngineHealth(BaseModel):
    """What an engine says of itself, and who waits for it."""

    status: Literal["healthy", "degraded"]
    detail: str = ""
    hint: str = ""
    missing_model: str = ""
    queue: QueueHealth | None = None


class NamedHealth(BaseModel):
    """An engine in all that it does, or another part of the house."""

    status: Literal["healthy", "degraded", "not_configured"]
    engines: dict[Kind, EngineHealth] = {}
    detail: str = ""
    hint: str = ""


_READY = answers(ok=Probe) | answers(ok=Probe, status=503)


class Checked(Protocol):
    """The engines in use."""

    async def check_engines(self) -> Mapping[tuple[Kind, str], Status]:
        """What each engine in use says of itself; bounded in time, never raises."""
        ...

    def engine_queues(self) -> Mapping[tuple[Kind, str], Queue]:
        """Who waits for each engine that serves a bounded number at a time."""
        ...

    @property
    def fetching(self) -> Mapping[str, str]:
        """The models on their way, ``ENGINE:MODEL``, and how far each has come."""
        ...


class Admitting(Protocol):
    @property
    def is_accepting(self) -> bool: ...


class Part(Protocol):
    """Something besides the engines that has to work: a way in, for one."""

    def status(self) -> Status: ...


async def _open() -> None:
    """The guard of a house without keys."""


def health_router(
    engines: Checked,
    host: Admitting,
    *,
    see_engines: Callable[..., Any] = _open,
    parts: Mapping[str, Part] = MappingProxyType({}),
) -> APIRouter:
    """``/health``, ``/health/live``, ``/health/ready``, ``/health/{engine}`` and
    ``/health/engines/{kind}/{name}``. ``see_engines`` is the FastAPI dependency that guards all
    but the two probes: details are not everybody's business. ``parts`` are checked beside the
    engines, each by its name."""
    return _Health(engines, host, parts).router([Depends(see_engines)])


class _Health:
    def __init__(self, engines: Checked, host: Admitting, parts: Mapping[str, Part]) -> None:
        self._engines = engines
        self._host = host
        self._parts = parts

    def router(self, guarded: Sequence[Any]) -> APIRouter:
        router = APIRouter(tags=["health"])
        add = router.add_api_route
        add("/health/live", self.live, summary="Is it alive?", responses=answers(ok=Probe))
        add("/health/ready", self.ready, summary="May calls come?", responses=_READY)
        for path, does, summary, told in (
            ("/health", self.health, "How are the engines?", answers(ok=Health)),
            (
                "/health/engines/{kind}/{name}",
                self.engine,
                "How is an engine?",
                answers(404, ok=EngineHealth),
            ),
            ("/health/{name}", self.named, "How is an engine?", answers(404, ok=NamedHealth)),
        ):
            add(path, does, summary=summary, responses=told, dependencies=guarded)
        return router

    async def health(self) -> dict[str, object]:
        """Always 200: a probe that restarts the server would not mend a missing engine."""
        checks: dict[str, CheckResult] = dict.fromkeys(ALWAYS_NAMED, NOT_CONFIGURED)
        for (_, name), status in (await self._engines.check_engines()).items():
            checks[name] = checks.get(name) is not False and status.ok
        checks.update((name, part.status().ok) for name, part in self._parts.items())
        is_degraded = any(result is False for result in checks.values())
        said: dict[str, object] = {
            "status": "degraded" if is_degraded else "healthy",
            "checks": checks,
        }
        if fetching := self._engines.fetching:
            said["fetching"] = dict(fetching)
        return said

    async def named(self, name: EngineName) -> dict[str, object]:
        """An engine by its name alone: healthy when it is in all that it does. Or another part."""
        if name in self._parts:
            return _said(self._parts[name].status())
        statuses = await self._engines.check_engines()
        found = {key: status for key, status in statuses.items() if key[1] == name}
        if not found and name in ALWAYS_NAMED:
            return {"status": NOT_CONFIGURED}
        if not found:
            in_use = ", ".join(sorted({engine for _, engine in statuses}))
            raise NotFound(f"No engine {name!r} is in use.", hint=f"In use: {in_use}.")
        is_ok = all(status.ok for status in found.values())
        return {
            "status": _word(is_ok),
            "engines": {key[0]: self._described(key, status) for key, status in found.items()},
        }

    async def engine(self, kind: EngineKind, name: EngineName) -> dict[str, object]:
        for key, status in (await self._engines.check_engines()).items():
            if key == (kind, name):
                return self._described(key, status)
        raise NotFound(
            f"No {kind} engine {name!r} is in use.", hint="GET /health lists those that are."
        )

    def _described(self, key: tuple[Kind, str], status: Status) -> dict[str, object]:
        said = _said(status)
        if queue := self._engines.engine_queues().get(key):
            said["queue"] = asdict(queue)
        return said

    async def live(self) -> dict[str, str]:
        return {"status": "live"}

    async def ready(self, response: Response) -> dict[str, str]:
        if not self._host.is_accepting:
            response.status_code = 503
            return {"status": "draining"}
        return {"status": "ready"}


def _said(status: Status) -> dict[str, object]:
    said: dict[str, object] = {"status": _word(status.ok)}
    for name, value in (
        ("detail", status.detail),
        ("hint", status.hint),
        ("missing_model", status.missing_model),
    ):
        if value:
            said[name] = value
    return said


def _word(is_ok: bool) -> str:
    return "healthy" if is_ok else "degraded"
