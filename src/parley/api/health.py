"""Health: is the process alive, may calls be sent to it, do the engines answer?"""

from __future__ import annotations

from typing import Literal, Protocol

from fastapi import APIRouter, Response

from parley.core.errors import NotFound

# Requirement 001 names these two whether or not they are used.
ALWAYS_NAMED = ("speaches", "ollama")

CheckResult = bool | Literal["not_configured"]


class Checked(Protocol):
    """The engines in use, by name."""

    async def check_engines(self) -> dict[str, bool]:
        """Whether each engine in use answers; bounded in time, never raises."""
        ...


class Admitting(Protocol):
    @property
    def is_accepting(self) -> bool: ...


def health_router(engines: Checked, host: Admitting) -> APIRouter:
    """``/health``, ``/health/live``, ``/health/ready`` and ``/health/{engine}``."""
    return _Health(engines, host).router()


class _Health:
    def __init__(self, engines: Checked, host: Admitting) -> None:
        self._engines = engines
        self._host = host

    def router(self) -> APIRouter:
        router = APIRouter(tags=["health"])
        router.add_api_route("/health", self.health, methods=["GET"])
        router.add_api_route("/health/live", self.live, methods=["GET"])
        router.add_api_route("/health/ready", self.ready, methods=["GET"])
        router.add_api_route("/health/{engine}", self.engine, methods=["GET"])
        return router

    async def health(self) -> dict[str, object]:
        """Always 200: a probe that restarts the server would not mend a missing engine."""
        checks = await self._checks()
        failed = [name for name, result in checks.items() if result is False]
        return {"status": "degraded" if failed else "healthy", "checks": checks}

    async def engine(self, engine: str) -> dict[str, object]:
        checks = await self._checks()
        if engine not in checks:
            raise NotFound(f"No engine {engine!r} here.", hint=f"In use: {', '.join(checks)}.")
        result = checks[engine]
        status = {True: "healthy", False: "degraded"}.get(bool(result), "degraded")
        return {"status": result if isinstance(result, str) else status}

    async def live(self) -> dict[str, str]:
        return {"status": "live"}

    async def ready(self, response: Response) -> dict[str, str]:
        if not self._host.is_accepting:
            response.status_code = 503
            return {"status": "draining"}
        return {"status": "ready"}

    async def _checks(self) -> dict[str, CheckResult]:
        checks: dict[str, CheckResult] = dict.fromkeys(ALWAYS_NAMED, "not_configured")
        checks |= await self._engines.check_engines()
        return checks
