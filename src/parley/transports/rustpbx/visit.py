"""One socket of a PBX, from its acceptance to its last word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from parley.access.caller import Caller
from parley.core.errors import BadRequest, Draining, Forbidden, InvalidValue, ParleyError
from parley.core.log import bind_call, get_logger
from parley.core.tasks import begin, end
from parley.session.host import Place
from parley.transports.paced_line import PacedLine
from parley.transports.reading_pace import ReadingPace
from parley.transports.rustpbx import telling
from parley.transports.rustpbx.media import RustPbxMedia
from parley.transports.rustpbx.messages import (
    UPLINK_RATE_HZ,
    Command,
    Configure,
    Disconnect,
    Ping,
    Sound,
    read_command,
)
from parley.transports.rustpbx.options import RATES_HZ
from parley.transports.rustpbx.reassembly import FrameOrder
from parley.transports.rustpbx.telling import Frames

if TYPE_CHECKING:
    from parley.transports.rustpbx.door import RustPbxDoor, Wish

log = get_logger(__name__)

CONFIGURE_WITHIN_S = 1.0
"""A client that has said nothing by then is answered all the same."""
# Reading a message holds all calls up: these take a few milliseconds.
LARGEST_TEXT = 256 * 1024
LARGEST_SOUND_BYTES = 1024 * 1024
PING_EVERY_S = 30.0
"""The client never answers, and needs none; its older versions are unblocked by any message."""
MOST_FAULTS = 100
"""Who sends so much that can't be read is no PBX."""
_REPLACED = "A newer socket carries this call."


class Visit:
    """``place`` is one for its call, or why there is none: then it can only carry on a call."""

    def __init__(
        self,
        socket: WebSocket,
        door: RustPbxDoor,
        caller: Caller,
        wish: Wish,
        place: Place | ParleyError,
    ) -> None:
        self._socket = socket
        self._door = door
        self._caller = caller
        self._wish = wish
        self._place: Place | ParleyError | None = place
        self._media: RustPbxMedia | None = None
        self._frames = Frames()
        self._order = FrameOrder()
        self._line = PacedLine(socket, door.wheel, self._encode, ticks=wish.ticks)
        self._pace = ReadingPace()
        self._faults = 0
        self._says_goodbye = False

    async def hold(self) -> None:
        """Return when the socket is closed."""
        # At once: older clients send nothing before they have received something.
        self._line.send(telling.connected())
        work: list[asyncio.Task[Any]] = [
            begin(self._read(), "rustpbx:read"),
            begin(self._line.run(), "rustpbx:write"),
            begin(self._ping(), "rustpbx:ping"),
            begin(self._line.closed.wait(), "rustpbx:closed"),
        ]
        late = asyncio.get_running_loop().call_later(CONFIGURE_WITHIN_S, self._begin, "")
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late.cancel()
            await end(*work)
            if self._media is not None:
                self._media.lose_line(self._line, is_goodbye=self._says_goodbye)

    def release(self) -> None:
        """Give the place back if no call came of it."""
        place, self._place = self._place, None
        if isinstance(place, Place):
            self._door.lines.give_back(place)

    # ── what comes ───────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        while True:
            try:
                received = await self._socket.receive()
            except (RuntimeError, WebSocketDisconnect):
                return
            if received["type"] == "websocket.disconnect":
                # Without a reason there was no Close frame: the network broke, or the PBX is of
                # the kind that never sends one.
                self._says_goodbye = self._says_goodbye or received.get("reason") is not None
                return
            sound: bytes = received.get("bytes") or b""
            text: str = received.get("text") or ""
            if not self._line.is_closing:
                await self._take(sound, text)
            await self._pace.turn(len(sound) + len(text))

    async def _take(self, sound: bytes, text: str) -> None:
        if len(text) > LARGEST_TEXT or len(sound) > LARGEST_SOUND_BYTES:
            self._line.close(1009, "A message was too large.")
        elif sound:
            self._hear(Sound(sound, UPLINK_RATE_HZ))
        elif text:
            await self._obey(text)

    async def _obey(self, text: str) -> None:
        try:
            await self._follow(read_command(text))
        except BadRequest as error:
            self._faults += 1
            self._line.send(telling.failure(error))
            if self._faults == 1:
                log.warning("rustpbx_bad_message", code=error.code, error=str(error))
            if self._faults > MOST_FAULTS:
                self._line.close(1008, "Too many bad messages.")
        except Forbidden as error:
            log.warning("rustpbx_room_refused", code=error.code, error=error.message)
            self._line.send(telling.failure(error))
            self._line.close(1008, error.message)

    async def _follow(self, command: Command) -> None:
        match command:
            case Sound():
                for sound in self._order.put(command):
                    self._hear(sound)
            case Ping(timestamp=timestamp):
                self._line.send(telling.pong(timestamp))
            case Configure():
                await self._configure(command)
            case Disconnect():
                self._says_goodbye = True
                self._line.close(1000, "goodbye")

    def _hear(self, sound: Sound) -> None:
        if self._media is None:
            self._begin("")
        if self._media is not None and self._media.line is self._line:
            self._media.hear(sound.pcm, sound.rate_hz)

    async def _configure(self, wish: Configure) -> None:
        if (going_on := self._door.live_call(self._caller, wish.room_id)) is not None:
            self._carry_on(going_on)
        elif self._media is None:
            self._begin(wish.room_id)
        else:
            await self._media.take_name(self._door.rooms, wish.room_id)
        media = self._media
        if media is None or media.line is not self._line:
            return
        if self._wish.is_binary and self._wish.rate_hz is None:
            self._speak_at(media, wish.speech_rate_hz)
        await media.configure(wish)
        self._line.send(telling.configured(wish.room_id or media.call_id))

    def _speak_at(self, media: RustPbxMedia, rate_hz: int | None) -> None:
        """Binary sound names no rate: the client plays it at the one that it has told."""
        if rate_hz in RATES_HZ:
            media.speak_at(rate_hz)
        elif rate_hz is not None:
            error = InvalidValue(
                f"The agent speaks at {media.rate_hz} Hz and not at {rate_hz}.",
                hint=f"Set sample_rate to one of {', '.join(map(str, RATES_HZ))}.",
                param="tts_config",
            )
            log.warning("rustpbx_rate_unknown", call_id=media.call_id, rate_hz=rate_hz)
            self._line.send(telling.failure(error))

    # ── its call ─────────────────────────────────────────────────────────────────────────

    def _begin(self, room_id: str) -> None:
        """Start a call of its own, unless it has one."""
        if self._line.is_closing:
            self.release()
            return
        if isinstance(self._place, Place) and not self._place.host.is_accepting:
            self.release()
            self._line.close(1001, "drain")
        place, self._place = self._place, None
        if isinstance(place, Place):
            rate_hz = self._wish.rate_hz or self._door.options.rate_hz
            self._media = self._door.begin(place, self._caller, self._wish, room_id, rate_hz)
            bind_call(self._media.call_id)
            self._media.take_line(self._line)
        elif place is not None:
            self._line.send(telling.failure(place))
            is_drain = isinstance(place, Draining)
            self._line.close(*((1001, "drain") if is_drain else (1013, "No line is free.")))

    def _carry_on(self, call: RustPbxMedia) -> None:
        """The call is going on already, over an older socket: it goes on over this one."""
        own = self._media
        if own is call:
            return
        if call.line is not None and call.line.opened_s > self._line.opened_s:
            # Several sockets of one call are opened at once, and configured in any order.
            self._line.close(1000, _REPLACED)
            return
        self._media = call
        if own is not None:
            # Begun before the client said which call this is.
            own.lose_line(self._line, is_goodbye=True)
        self.release()
        log.info("rustpbx_socket_replaced", call_id=call.call_id)
        if (before := call.take_line(self._line)) is not None:
            before.close(1000, _REPLACED)

    # ── what goes ────────────────────────────────────────────────────────────────────────

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            self._line.send(telling.ping())

    def _encode(self, pcm: bytes) -> str | bytes:
        if self._wish.is_binary or self._media is None:
            return pcm
        return self._frames.encode(pcm, self._media.rate_hz)
