"""``/ws/rustpbx``: who is let in, and which call a socket belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from parley.access.caller import Caller
from parley.access.guard import caller_of
from parley.core.call import CallInfo
from parley.core.errors import (
    CallLimitReached,
    Draining,
    Forbidden,
    InvalidValue,
    NotFound,
    ParleyError,
    QuotaExceeded,
    envelope,
    error_headers,
)
from parley.core.log import get_logger
from parley.session.host import Place
from parley.transports.rustpbx.lines import RUSTPBX, Host, PbxLines
from parley.transports.rustpbx.media import RustPbxMedia
from parley.transports.rustpbx.options import RATES_HZ
from parley.transports.rustpbx.rooms import Room, Rooms
from parley.transports.rustpbx.visit import Visit
from parley.transports.wheel import Wheel

log = get_logger(__name__)

PATH = "/ws/rustpbx"
TOKEN = "token"
"""The parameter of the URL, in its path or query, that may hold a key."""

Guard = Callable[[HTTPConnection], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the socket's URL asks for. ``rate_hz`` None leaves it to the PBX and the settings."""

    agent: str = ""
    rate_hz: int | None = None
    is_binary: bool = False
    ticks: bool = True
    prepared: Room | None = None
    """The room that the call is in."""


class RustPbxDoor:
    """All sockets of PBXes, and the calls that they carry."""

    def __init__(self, host: Host, rooms: Rooms, wheel: Wheel, lines: PbxLines) -> None:
        self.host = host
        self.rooms = rooms
        self.wheel = wheel
        self.lines = lines
        self.options = lines.options

    def router(self, guard: Guard, paths: Sequence[str] = (PATH,)) -> APIRouter:
        """The routes. ``guard`` says who is asking, or raises; the path that ends the URL may be
        the caller's key, which is why ``guard`` must look for ``TOKEN``."""
        router = APIRouter(tags=["rustpbx"])
        entrance = _Entrance(self, guard)
        for path in paths:
            stem = path.rstrip("/")
            router.add_api_websocket_route(f"{stem}/", entrance.enter)
            if stem:
                router.add_api_websocket_route(stem, entrance.enter)
                router.add_api_websocket_route(f"{stem}/{{{TOKEN}}}", entrance.enter)
        return router

    def live_call(self, caller: Caller, room_id: str) -> RustPbxMedia | None:
        """The call of that name, if it is still going on.

        Raises ``Forbidden`` where it is another's: whoever knows the name of a call has not begun
        it. So it does where a client secret, which is for a call of its own, names a room.
        """
        room = self.rooms.find(caller.tenant, room_id) if room_id else None
        if room is None:
            return None
        if room.call is None:
            _require_key(caller)
            return None
        call = room.call
        if not isinstance(call, RustPbxMedia) or call.has_left:
            return None
        if call.owner != caller.owner:
            raise Forbidden(
                "That room is a call which another key has begun.",
                hint="Carry it on with the same key, or name a room of your own.",
            )
        return call

    def begin(
        self, place: Place, caller: Caller, wish: Wish, room_id: str, rate_hz: int
    ) -> RustPbxMedia:
        """Start the call that has taken the place."""
        call = place.call
        media = RustPbxMedia(
            call.id,
            place.agent,
            self.wheel,
            self.options,
            rate_hz=rate_hz,
            owner=caller.owner,
            on_over=self._forget,
        )
        media.room = self.rooms.attach(
            call.tenant, room_id or call.id, media, prepared=wish.prepared
        )
        media.hand_over(self.host.start(place, media))
        return media

    async def admit(self, caller: Caller, wish: Wish) -> Place:
        """Raises what ``PbxLines.take`` does."""
        call = CallInfo(
            agent=wish.agent,
            transport=RUSTPBX,
            caller=caller.address,
            tenant=caller.tenant,
        )
        return await self.lines.take(self.host, call)

    def _forget(self, media: RustPbxMedia) -> None:
        self.lines.free(media.call_id)
        if media.room is not None:
            self.rooms.detach(media.room)


class _Entrance:
    def __init__(self, door: RustPbxDoor, guard: Guard) -> None:
        self._door = door
        self._guard = guard

    async def enter(self, socket: WebSocket) -> None:
        """Let a PBX in, or answer its handshake with the reason why not."""
        with ExitStack() as stack:
            try:
                visit = await self._receive(socket, stack)
            except ParleyError as error:
                await _refuse(socket, error)
                return
            try:
                # No subprotocol is ever named: the client aborts where it asked for none.
                await socket.accept()
                await visit.hold()
            finally:
                visit.release()

    async def _receive(self, socket: WebSocket, stack: ExitStack) -> Visit:
        await self._guard(socket)
        caller = caller_of(socket)
        wish = read_wish(socket, self._door.rooms, caller)
        stack.enter_context(self._door.lines.socket_of(caller.address))
        return Visit(socket, self._door, caller, wish, await self._place(caller, wish))

    async def _place(self, caller: Caller, wish: Wish) -> Place | ParleyError:
        """A place for a call, taken before the PBX is let in; or why there is none, where the
        socket may be for a call that has one."""
        try:
            return await self._door.admit(caller, wish)
        except (CallLimitReached, QuotaExceeded, Draining) as error:
            if not self._door.lines.carries_calls_of(caller.tenant):
                raise
            return error


def read_wish(connection: HTTPConnection, rooms: Rooms, caller: Caller) -> Wish:
    """Raises ``NotFound``, ``Forbidden`` or ``InvalidValue``."""
    query = connection.query_params
    room_id = query.get("room", "")
    return Wish(
        agent=query.get("agent", ""),
        rate_hz=_rate(query["rate"]) if "rate" in query else None,
        is_binary=_one_of(query.get("audio", "json"), ("json", "binary"), "audio") == "binary",
        ticks=_one_of(query.get("tick", "on"), ("on", "off"), "tick") == "on",
        prepared=_prepared(rooms, caller, room_id) if room_id else None,
    )


def _prepared(rooms: Rooms, caller: Caller, room_id: str) -> Room:
    """A room that was made over HTTP: calls, whose names are rooms too, can't be joined."""
    _require_key(caller)
    room = rooms.find(caller.tenant, room_id)
    if room is None or room.call is not None:
        raise NotFound(f"There is no prepared room {room_id[:60]}.", hint="POST /rooms makes one.")
    return room


def _require_key(caller: Caller) -> None:
    """A page that may talk is told nothing that was prepared for others of its tenant."""
    if caller.session is not None:
        raise Forbidden(
            "A client secret is for a call of its own, not for prepared rooms.",
            hint="Connect with the key itself, from your server.",
        )


def _rate(found: str) -> int:
    known = {str(rate_hz): rate_hz for rate_hz in RATES_HZ}
    return known[_one_of(found, tuple(known), "rate")]


def _one_of(found: str, allowed: Sequence[str], param: str) -> str:
    if found not in allowed:
        raise InvalidValue(f"{param} must be one of {', '.join(allowed)}.", param=param)
    return found


async def _refuse(socket: WebSocket, error: ParleyError) -> None:
    """An HTTP answer in the place of the handshake."""
    address = socket.client.host if socket.client else ""
    log.info("rustpbx_refused", address=address, code=error.code, error=error.message)
    answer = JSONResponse(envelope(error), error.status, headers=error_headers(error))
    await socket.send_denial_response(answer)
