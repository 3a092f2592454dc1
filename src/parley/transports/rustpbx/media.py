"""One call of a PBX as the session sees it, over whichever of its sockets is the newest."""

from __future__ import annotations

from collections.abc import Callable

from parley.access.caller import Owner
from parley.agents.schema import Agent
from parley.core.events import Event
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.transports.rustpbx.messages import Configure
from parley.transports.rustpbx.options import RustPbxOptions
from parley.transports.rustpbx.rooms import Room, Rooms
from parley.transports.rustpbx.telling import Teller
from parley.transports.socket_media import PcmSocketMedia
from parley.transports.wheel import Wheel

log = get_logger(__name__)

# The client sends this language whatever its operator set: it says nothing.
_BUILT_IN_LANGUAGE = "en"


class RustPbxMedia(PcmSocketMedia):
    """Implements ``CallMedia`` and ``RoomCall``. ``owner`` alone may carry it on over another
    socket; ``on_over`` is called once, when all is free."""

    def __init__(
        self,
        call_id: str,
        agent: Agent,
        wheel: Wheel,
        options: RustPbxOptions,
        *,
        rate_hz: int,
        owner: Owner,
        on_over: Callable[[RustPbxMedia], None],
    ) -> None:
        super().__init__(
            call_id,
            wheel,
            rate_hz=rate_hz,
            silent_s=options.silent_s,
            grace_s=options.grace_s,
            call_s=options.call_s,
        )
        self.room: Room | None = None
        self.owner = owner
        self._agent = agent
        self._on_over = on_over
        self._control: SessionControl | None = None
        self._teller = Teller(agent.language)
        self._language = ""
        self._is_up = False

    def hand_over(self, control: SessionControl) -> None:
        self._control = control

    async def take_name(self, rooms: Rooms, room_id: str) -> None:
        """The PBX has said how it calls this call."""
        if self.room is not None and room_id and rooms.rename(self.room, room_id):
            await self._go_by_room()

    async def configure(self, wish: Configure) -> None:
        """What the PBX wishes for, from the next turn on."""
        if self.room is not None and wish.system_prompt is not None:
            self.room.configured = wish.system_prompt
            await self._go_by_room()
        self._hear_language(wish.language)

    async def _go_by_room(self) -> None:
        """Take the prompt that the room has by now, if it has one."""
        if self.room is not None and self.room.prompt is not None:
            await self.set_prompt(self.room.prompt)

    def _hear_language(self, language: str) -> None:
        spoken = language.partition("-")[0].lower()
        if spoken in ("", _BUILT_IN_LANGUAGE):
            return
        self._language = self._teller.language = language
        if self._is_up and self._control is not None:
            self._control.conversation.hear_language(language)

    # ── RoomCall ─────────────────────────────────────────────────────────────────────────

    @property
    def instructions(self) -> str:
        return self._agent.instructions

    async def set_prompt(self, text: str) -> None:
        if self._is_up and self._control is not None:
            await self._control.set_instructions(text)

    def end_call(self) -> None:
        if self._control is not None:
            self._control.end("agent")

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    async def connected(self) -> None:
        """Now there is a conversation: what was said of it before takes effect."""
        self._is_up = True
        await self._go_by_room()
        self._hear_language(self._language)

    async def deliver(self, event: Event) -> None:
        for told in self._teller.of(event):
            if self.line is not None:
                self.line.send(told)

    def free(self) -> None:
        self._is_up = False
        self._on_over(self)
