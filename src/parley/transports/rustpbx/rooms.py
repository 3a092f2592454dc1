"""Rooms: what a PBX's operator prepares and changes, and the calls that are in them.

Every call is a room of its own, named by the PBX (``configure.room_id``) or else like the call. A
room that was prepared over HTTP can hold any number of calls: what is said to it, it says to them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from parley.core.errors import NotFound, Refused

DEFAULT_PROMPT = "You are a helpful AI assistant."
MOST_ROOMS = 1000
"""How many a tenant may have prepared at once."""
UNUSED_S = 24 * 3600.0
"""A prepared room that nobody has used, seen or changed for so long is forgotten."""


class RoomCall(Protocol):
    """A running call, as its room sees it."""

    @property
    def call_id(self) -> str: ...

    @property
    def instructions(self) -> str:
        """What its agent goes by of itself."""
        ...

    async def set_prompt(self, text: str) -> None:
        """Go by it from the next turn on."""
        ...

    def end_call(self) -> None:
        """Hang up."""
        ...


@dataclass(eq=False)
class Room:
    """``given`` is the prompt that it was made with, ``configured`` what the PBX has sent since and
    ``posted`` the last one that came over HTTP; None where there was none."""

    id: str
    tenant: str
    name: str
    given: str | None = None
    configured: str | None = None
    posted: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    call: RoomCall | None = None
    """The call that this room is; None in a prepared one."""
    prepared: Room | None = None
    """The prepared room that the call is in."""
    members: list[Room] = field(default_factory=list["Room"])
    """The calls in a prepared room."""
    used_s: float = 0.0

    @property
    def prompt(self) -> str | None:
        """What replaces the agent's own instructions; None leaves them."""
        above = self.prepared.given if self.prepared is not None else None
        found = (self.posted, self.configured, self.given, above)
        return next((each for each in found if each is not None), None)

    @property
    def system_prompt(self) -> str:
        """What is gone by now, as far as that is known."""
        own = self.call.instructions if self.call is not None else DEFAULT_PROMPT
        return self.prompt if self.prompt is not None else own

    @property
    def calls(self) -> Sequence[RoomCall]:
        """The running calls that it names."""
        found = [self, *self.members]
        return [each.call for each in found if each.call is not None]

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Which calls are in it, and for a call which prepared room that is; None if it's empty."""
        if not self.calls:
            return None
        told: dict[str, Any] = {"calls": [call.call_id for call in self.calls]}
        return told | ({"room": self.prepared.id} if self.prepared is not None else {})


class Rooms:
    """All tenants' rooms. Nobody sees, changes or joins another tenant's."""

    def __init__(
        self,
        *,
        most: int = MOST_ROOMS,
        unused_s: float = UNUSED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._unused_s = unused_s
        self._clock = clock
        self._rooms: dict[tuple[str, str], Room] = {}

    @property
    def count(self) -> int:
        """How many there are, of all tenants."""
        self._forget_unused()
        return len(self._rooms)

    # ── for HTTP ─────────────────────────────────────────────────────────────────────────

    def create(self, tenant: str, name: str, system_prompt: str | None = None) -> Room:
        """Prepare a room. Without a prompt its calls go by their agent's. Raises ``Refused``."""
        self._forget_unused()
        prepared = [room for room in self._of(tenant) if room.call is None]
        if len(prepared) >= self._most:
            raise Refused(
                f"There are {self._most} rooms already.", hint="Delete those that are over."
            )
        room = Room(str(uuid4()), tenant, name, given=system_prompt, used_s=self._clock())
        self._rooms[tenant, room.id] = room
        return room

    def list(self, tenant: str) -> list[Room]:
        """The tenant's rooms, oldest first."""
        self._forget_unused()
        return self._of(tenant)

    def get(self, tenant: str, room_id: str) -> Room:
        """Raises ``NotFound``."""
        room = self.find(tenant, room_id)
        if room is None:
            raise NotFound("Room not found", hint="GET /rooms lists those that there are.")
        return room

    def find(self, tenant: str, room_id: str) -> Room | None:
        room = self._rooms.get((tenant, room_id))
        if room is not None:
            room.used_s = self._clock()
        return room

    def delete(self, tenant: str, room_id: str) -> None:
        """Forget it and hang up the calls that are in it. Raises ``NotFound``."""
        room = self.get(tenant, room_id)
        del self._rooms[tenant, room_id]
        for call in room.calls:
            call.end_call()

    async def set_prompt(self, tenant: str, room_id: str, prompt: str) -> None:
        """Have the room's calls, running ones and those to come, go by it from their next turn on.

        Raises ``NotFound``.
        """
        room = self.get(tenant, room_id)
        for each in (room, *room.members):
            each.posted = prompt
        for call in room.calls:
            await call.set_prompt(prompt)

    # ── for calls ────────────────────────────────────────────────────────────────────────

    def attach(
        self, tenant: str, room_id: str, call: RoomCall, *, prepared: Room | None = None
    ) -> Room:
        """The call is a room of that name from now on.

        A prepared room of the same name is the one that the call is in, and keeps the name.
        """
        same = self._rooms.get((tenant, room_id))
        if prepared is not None and self._rooms.get((tenant, prepared.id)) is not prepared:
            # Deleted since the handshake, which named it.
            prepared = None
        prepared = prepared or (same if same is not None and same.call is None else None)
        room = Room(room_id, tenant, room_id, call=call, used_s=self._clock())
        if prepared is not None:
            self._enter(room, prepared)
        if same is None or same.call is not None:
            self._rooms[tenant, room_id] = room
        return room

    def rename(self, room: Room, room_id: str) -> bool:
        """The PBX has told how it names the call: like a prepared room, which the call is in from
        now on if it was in none (the answer is true then), or by a name of its own.

        A name that another call has stays whose it is, and the room of a call that is over stays
        away.
        """
        same = self._rooms.get((room.tenant, room_id))
        if room.call is None or same is room:
            return False
        if same is None:
            self._drop(room)
            room.id = room_id
            room.name = room.name if room.prepared is not None else room_id
            self._rooms[room.tenant, room_id] = room
            return False
        if same.call is not None or room.prepared is not None:
            return False
        self._drop(room)
        room.id = room_id
        self._enter(room, same)
        return True

    def _enter(self, room: Room, prepared: Room) -> None:
        room.prepared, room.name = prepared, prepared.name
        room.posted = room.posted if room.posted is not None else prepared.posted
        prepared.members.append(room)
        prepared.used_s = self._clock()

    def detach(self, room: Room) -> None:
        """The call is over, and its room with it; a prepared one stays."""
        self._drop(room)
        room.call = None
        if room.prepared is not None and room in room.prepared.members:
            room.prepared.members.remove(room)
            room.prepared.used_s = self._clock()

    def _drop(self, room: Room) -> None:
        if self._rooms.get((room.tenant, room.id)) is room:
            del self._rooms[room.tenant, room.id]

    def _of(self, tenant: str) -> list[Room]:
        return [room for room in self._rooms.values() if room.tenant == tenant]

    def _forget_unused(self) -> None:
        before_s = self._clock() - self._unused_s
        for key, room in list(self._rooms.items()):
            if room.call is None and not room.members and room.used_s < before_s:
                del self._rooms[key]
