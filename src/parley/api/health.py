"""Health: is the process alive, may calls be sent to it, do the engines answer?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Depends, Response

from parley.core.errors import NotFound
from parley.engines.spec import Kind, Status

# Requirement 001 names these two whether or not they are used.
ALWAYS_NAMED = ("speaches", "ollama")
NOT_CONFIGURED = "not_configured"

CheckResult = bool | Literal["not_configured"]


class Checked(Protocol):
    """The engines in use."""

    async def check_engines(self) -> Mapping[tuple[Kind, str], Status]:
        """What each engine in use says of itself; bounded in time, never raises."""
        ...

    @property
    def fetching(self) -> Mapping[str, str]:
        """The models on their way, ``ENGINE:MODEL``, and how far each has come."""
        ...


class Admitting(Protocol):
    @property
    def is_accepting(self) -> bool: ...


async def _open() -> None:
    """The guard of a house without keys."""


def health_router(
    engines: Checked, host: Admitting, *, see_engines: Callable[..., Any] = _open
) -> APIRouter:
    """``/health``, ``/health/live``, ``/health/ready``, ``/health/{engine}`` and
    ``/health/engines/{kind}/{name}``. ``see_engines`` is the FastAPI dependency that guards all
    but the two probes: details are not everybody's business."""
    return _Health(engines, host).router([Depends(see_engines)])


class _Health:
    def __init__(self, engines: Checked, host: Admitting) -> None:
        self._engines = engines
        self._host = host

    def router(self, guarded: Sequence[Any]) -> APIRouter:
        router = APIRouter(tags=["health"])
        add = router.add_api_route
        add("/health/live", self.live, methods=["GET"])
        add("/health/ready", self.ready, methods=["GET"])
        add("/health", self.health, methods=["GET"], dependencies=guarded)
        add("/health/engines/{kind}/{name}", self.engine, methods=["GET"], dependencies=guarded)
        add("/health/{name}", self.named, methods=["GET"], dependencies=guarded)
        return router

    async def health(self) -> dict[str, object]:
        """Always 200: a probe that restarts the server would not mend a missing engine."""
        checks: dict[str, CheckResult] = dict.fromkeys(ALWAYS_NAMED, NOT_CONFIGURED)
        for (_, name), status in (await self._engines.check_engines()).items():
            checks[name] = checks.get(name) is not False and status.ok
        is_degraded = any(result is False for result in checks.values())
        said: dict[str, object] = {
            "status": "degraded" if is_degraded else "healthy",
            "checks": checks,
        }
        if fetching := self._engines.fetching:
            said["fetching"] = dict(fetching)
        return said

    async def named(self, name: str) -> dict[str, object]:
        """An engine by its name alone: healthy when it is in all that it does."""
        statuses = await self._engines.check_engines()
        found = {kind: status for (kind, engine), status in statuses.items() if engine == name}
        if not found and name in ALWAYS_NAMED:
            return {"status": NOT_CONFIGURED}
        if not found:
            in_use = ", ".join(sorted({engine for _, engine in statuses}))
            raise NotFound(f"No engine {name!r} is in use.", hint=f"In use: {in_use}.")
        is_ok = all(status.ok for status in found.values())
        return {
            "status": _word(is_ok),
            "engines": {kind: _described(status) for kind, status in found.items()},
        }

    async def engine(self, kind: str, name: str) -> dict[str, object]:
        for (its_kind, its_name), status in (await self._engines.check_engines()).items():
            if (its_kind, its_name) == (kind, name):
                return _described(status)
        raise NotFound(
            f"No {kind} engine {name!r} is in use.", hint="GET /health lists those that are."
        )

    async def live(self) -> dict[str, str]:
        return {"status": "live"}

    async def ready(self, response: Response) -> dict[str, str]:
        if not self._host.is_accepting:
            response.status_code = 503
            return {"status": "draining"}
        return {"status": "ready"}


def _word(is_ok: bool) -> str:
    return "healthy" if is_ok else "degraded"


def _described(status: Status) -> dict[str, object]:
    said: dict[str, object] = {"status": _word(status.ok)}
    for name, value in (
        ("detail", status.detail),
        ("hint", status.hint),
        ("missing_model", status.missing_model),
    ):
        if value:
            said[name] = value
    return said
