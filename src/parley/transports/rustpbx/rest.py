"""Health and rooms over HTTP, in the form that the older media server for RustPBX had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from parley import __version__
from parley.access.caller import Caller
from parley.access.guard import caller_of
from parley.core.errors import Forbidden, NotFound, ParleyError, error_headers
from parley.core.log import get_logger
from parley.transports.rustpbx.bodies import (
    ListenerHealth,
    PromptChange,
    RoomWish,
    ShownRoom,
    Told,
    read_body,
    shown,
)
from parley.transports.rustpbx.rooms import Rooms

log = get_logger(__name__)

Guard = Callable[..., Awaitable[Any]]


class Standing(Protocol):
    """What an engine says of itself."""

    @property
    def ok(self) -> bool: ...


class Checked(Protocol):
    """The engines in use."""

    async def check_engines(self) -> Mapping[Any, Standing]:
        """What each engine in use says of itself; bounded in time, never raises."""
        ...


class Admitting(Protocol):
    @property
    def is_accepting(self) -> bool: ...


def rest_router(
    rooms: Rooms, engines: Checked, host: Admitting, guard: Guard, *, stall_s: float
) -> APIRouter:
    """``/health`` and ``/rooms`` for those whom ``guard`` lets in; ``/``, ``/health/live`` and
    ``/health/ready`` for everybody."""
    router = APIRouter()
    health = _Health(rooms, engines, host)
    add = router.add_api_route
    add("/", _front_page)
    add("/health/live", health.live)
    add("/health/ready", health.ready)
    guarded = [Depends(guard)]
    add("/health", health.health, dependencies=guarded)
    mine = [*guarded, Depends(_refuse_secrets)]
    desk = _RoomDesk(rooms, stall_s)
    add("/rooms", desk.create, methods=["POST"], dependencies=mine)
    add("/rooms", desk.list, methods=["GET"], dependencies=mine)
    add("/rooms/{room_id}", desk.get, methods=["GET"], dependencies=mine)
    add("/rooms/{room_id}", desk.delete, methods=["DELETE"], dependencies=mine)
    add("/rooms/{room_id}/prompt", desk.set_prompt, methods=["POST"], dependencies=mine)
    return router


def install_detail_errors(web: FastAPI) -> None:
    """Every error is ``{"detail": …}``, as this server's clients know it."""
    web.add_exception_handler(ParleyError, _on_parley_error)
    web.add_exception_handler(RequestValidationError, _on_bad_body)
    web.add_exception_handler(Exception, _on_surprise)


async def _front_page() -> dict[str, str]:
    return {
        "server": "parley",
        "version": __version__,
        "websocket": "/ws/rustpbx",
        "health": "/health",
        "rooms": "/rooms",
    }


async def _refuse_secrets(connection: HTTPConnection) -> None:
    """A page that may talk must not read what others of its tenant are told."""
    if caller_of(connection).session is not None:
        raise Forbidden(
            "A client secret is for holding a call, not for rooms.",
            hint="Ask with the key itself, from your server.",
        )


class _Health:
    def __init__(self, rooms: Rooms, engines: Checked, host: Admitting) -> None:
        self._rooms = rooms
        self._engines = engines
        self._host = host

    async def health(self, request: Request) -> ListenerHealth:
        """Always 200: a probe that restarts the server would not mend a missing engine."""
        statuses = await self._engines.check_engines()
        rooms = self._rooms.list(_tenant(request))
        return ListenerHealth(
            status="healthy" if all(each.ok for each in statuses.values()) else "degraded",
            timestamp=datetime.now(UTC),
            version=__version__,
            active_rooms=len(rooms),
            active_connections=len({call.call_id for room in rooms for call in room.calls}),
        )

    async def live(self) -> dict[str, str]:
        return {"status": "live"}

    async def ready(self, response: Response) -> dict[str, str]:
        if not self._host.is_accepting:
            response.status_code = 503
            return {"status": "draining"}
        return {"status": "ready"}


class _RoomDesk:
    def __init__(self, rooms: Rooms, stall_s: float) -> None:
        self._rooms = rooms
        self._stall_s = stall_s

    async def create(self, request: Request) -> ShownRoom:
        wish = await read_body(request, RoomWish, stall_s=self._stall_s)
        return shown(self._rooms.create(_tenant(request), wish.name, wish.system_prompt))

    async def list(self, request: Request) -> list[ShownRoom]:
        return [shown(room) for room in self._rooms.list(_tenant(request))]

    async def get(self, request: Request, room_id: str) -> ShownRoom:
        return shown(self._rooms.get(_tenant(request), room_id))

    async def delete(self, request: Request, room_id: str) -> Told:
        self._rooms.delete(_tenant(request), room_id)
        return Told(message="Room deleted successfully")

    async def set_prompt(self, request: Request, room_id: str) -> Told:
        # An unknown room is told of before a wrong body, and nothing of either is kept.
        self._rooms.get(_tenant(request), room_id)
        change = await read_body(request, PromptChange, stall_s=self._stall_s)
        await self._rooms.set_prompt(_tenant(request), room_id, change.system_prompt)
        return Told(message="Prompt updated successfully")


def _tenant(request: Request) -> str:
    caller: Caller = caller_of(request)
    return caller.tenant


async def _on_parley_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ParleyError)
    log.info("request_refused", path=request.url.path, code=error.code, error=str(error))
    says = error.message if isinstance(error, NotFound) else str(error)
    return JSONResponse({"detail": says}, error.status, headers=error_headers(error))


async def _on_bad_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"loc": list(each["loc"]), "msg": each["msg"], "type": each["type"]}
        for each in error.errors()
    ]
    return JSONResponse({"detail": faults}, 422)


async def _on_surprise(request: Request, error: Exception) -> JSONResponse:
    log.error("request_broke", path=request.url.path, exc_info=error)
    return JSONResponse({"detail": "Something broke in here; the log has the details."}, 500)
