"""``/ws/rustpbx``: who is let in, and which call a socket belongs to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
    InvalidValue,
    NotFound,
    ParleyError,
    QuotaExceeded,
    RateLimited,
    envelope,
    error_headers,
)
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.session.host import Place
from parley.session.media import CallMedia
from parley.transports.rate import Rate
from parley.transports.rustpbx.media import RustPbxMedia
from parley.transports.rustpbx.options import RATES_HZ, RustPbxOptions
from parley.transports.rustpbx.rooms import Room, Rooms
from parley.transports.rustpbx.visit import Visit
from parley.transports.wheel import Wheel

log = get_logger(__name__)

PATH = "/ws/rustpbx"
TOKEN = "token"
"""The parameter of the URL, in its path or query, that may hold a key."""

Guard = Callable[[HTTPConnection], Awaitable[Any]]


class Host(Protocol):
    """What a socket needs of the session: ``SessionHost`` is one."""

    def admit(self, call: CallInfo) -> Place: ...

    def start(self, place: Place, media: CallMedia) -> SessionControl: ...


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

    def __init__(
        self, host: Host, rooms: Rooms, wheel: Wheel, options: RustPbxOptions | None = None
    ) -> None:
        self.host = host
        self.rooms = rooms
        self.options = options or RustPbxOptions()
        self.wheel = wheel
        self._calls: set[RustPbxMedia] = set()
        self._places: set[Place] = set()
        """Those of sockets whose call has not begun."""
        self._sockets: Counter[str] = Counter()
        self._rate = Rate(self.options.sockets_per_s, time.monotonic)

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return self._sockets.total()

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

    def carries_calls_of(self, tenant: str) -> bool:
        """Whether there is a call, or is about to be, that another socket could carry on."""
        begun = any(media.room and media.room.tenant == tenant for media in self._calls)
        return begun or any(place.call.tenant == tenant for place in self._places)

    def live_call(self, tenant: str, room_id: str) -> RustPbxMedia | None:
        """The call of that name, if it is still going on."""
        room = self.rooms.find(tenant, room_id) if room_id else None
        call = room.call if room is not None else None
        if not isinstance(call, RustPbxMedia) or call.has_left:
            return None
        return call

    def begin(self, place: Place, wish: Wish, room_id: str, rate_hz: int) -> RustPbxMedia:
        """Start the call that has taken the place."""
        call = place.call
        self._places.discard(place)
        media = RustPbxMedia(
            call.id, place.agent, self.wheel, self.options, rate_hz=rate_hz, on_over=self._forget
        )
        self._calls.add(media)
        media.room = self.rooms.attach(
            call.tenant, room_id or call.id, media, prepared=wish.prepared
        )
        media.hand_over(self.host.start(place, media))
        return media

    def admit(self, caller: Caller, wish: Wish) -> Place:
        """Raises what ``SessionHost.admit`` does."""
        most = self.options.max_calls
        if most and len(self._calls) + len(self._places) >= most:
            raise CallLimitReached(f"All {most} lines of PBXes are busy.", retry_after_s=5)
        call = CallInfo(
            agent=wish.agent,
            transport="rustpbx",
            caller=caller.address,
            tenant=caller.tenant,
        )
        place = self.host.admit(call)
        self._places.add(place)
        return place

    def give_back(self, place: Place) -> None:
        """No call came of it."""
        self._places.discard(place)
        place.release()

    def count_in(self, address: str) -> None:
        """Raises ``RateLimited``."""
        if self._sockets[address] >= self.options.sockets_per_peer:
            raise RateLimited("That address has too many sockets open.", retry_after_s=1)
        if not self._rate.take():
            raise RateLimited("Too many sockets are opened at once.", retry_after_s=1)
        self._sockets[address] += 1

    def count_out(self, address: str) -> None:
        self._sockets[address] -= 1
        if self._sockets[address] <= 0:
            del self._sockets[address]

    def _forget(self, media: RustPbxMedia) -> None:
        self._calls.discard(media)
        if media.room is not None:
            self.rooms.detach(media.room)


class _Entrance:
    def __init__(self, door: RustPbxDoor, guard: Guard) -> None:
        self._door = door
        self._guard = guard

    async def enter(self, socket: WebSocket) -> None:
        """Let a PBX in, or answer its handshake with the reason why not."""
        try:
            await self._guard(socket)
            caller = caller_of(socket)
            wish = read_wish(socket, self._door.rooms, caller.tenant)
            self._door.count_in(caller.address)
        except ParleyError as error:
            await _refuse(socket, error)
            return
        try:
            await self._receive(socket, caller, wish)
        finally:
            self._door.count_out(caller.address)

    async def _receive(self, socket: WebSocket, caller: Caller, wish: Wish) -> None:
        try:
            place = await self._place(caller, wish)
        except ParleyError as error:
            await _refuse(socket, error)
            return
        visit = Visit(socket, self._door, caller, wish, place)
        try:
            # No subprotocol is ever named: the client aborts where it asked for none.
            await socket.accept()
            await visit.hold()
        finally:
            visit.release()

    async def _place(self, caller: Caller, wish: Wish) -> Place | ParleyError:
        """A place for a call, taken before the PBX is let in; or why there is none, where the
        socket may be for a call that has one."""
        try:
            place = self._door.admit(caller, wish)
            try:
                await place.reserve()
            except BaseException:
                self._door.give_back(place)
                raise
        except (CallLimitReached, QuotaExceeded, Draining) as error:
            if not self._door.carries_calls_of(caller.tenant):
                raise
            return error
        return place


def read_wish(connection: HTTPConnection, rooms: Rooms, tenant: str) -> Wish:
    """Raises ``NotFound`` or ``InvalidValue``."""
    query = connection.query_params
    room_id = query.get("room", "")
    prepared = rooms.find(tenant, room_id) if room_id else None
    if room_id and prepared is None:
        raise NotFound(f"There is no room {room_id[:60]}.", hint="POST /rooms makes one.")
    return Wish(
        agent=query.get("agent", ""),
        rate_hz=_rate(query["rate"]) if "rate" in query else None,
        is_binary=_one_of(query.get("audio", "json"), ("json", "binary"), "audio") == "binary",
        ticks=_one_of(query.get("tick", "on"), ("on", "off"), "tick") == "on",
        prepared=prepared,
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
