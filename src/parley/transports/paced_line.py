"""What goes out on one WebSocket: messages as they come, and the agent's voice on a 20 ms clock."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from parley.core.log import get_logger
from parley.transports.webrtc.sender import MAX_LATE_PACKETS, PACKET_MS, Playout
from parley.transports.wheel import SLOT_MS, Wheel

log = get_logger(__name__)

TICK_MS = 10
FAREWELL_LIMIT_S = 2.0
MOST_WAITING_BYTES = 4 * 1024 * 1024

Message = str | bytes


class PacedLine:
    """Sends 20 ms of ``playout`` every 20 ms as ``encode`` makes a message of it, and no sound
    ahead of its time: the far side plays at once what comes, and nothing can be taken back.

    With ``ticks`` an empty message goes out every 10 ms in which nothing else does, for far sides
    that can only send after they have received. ``run`` does the work, until ``close``.
    """

    def __init__(
        self,
        socket: WebSocket,
        wheel: Wheel,
        encode: Callable[[bytes], Message],
        *,
        ticks: bool = False,
    ) -> None:
        self.playout: Playout | None = None
        """Whose sound goes out."""
        self.opened_s = time.monotonic()
        self.closed = asyncio.Event()
        """Nothing more goes out, or would be read."""
        self._socket = socket
        self._wheel = wheel
        self._encode = encode
        self._ticks = ticks
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._farewell: tuple[int, str] | None = None
        self._farewell_slot: int | None = None
        self._work = asyncio.Event()
        self._pieces_due = 0
        self._is_tick_due = False

    def send(self, message: Message) -> None:
        """Have a message sent behind those that wait."""
        if self._farewell is not None:
            return
        self._waiting_bytes += len(message)
        if self._waiting_bytes > MOST_WAITING_BYTES:
            log.warning("socket_reads_nothing", waiting=len(self._waiting))
            self._waiting.clear()
            self.close(1008, "You read too slowly.")
            return
        self._waiting.append(message)
        self._work.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close once what waits has been sent. The first word counts."""
        if self._farewell is None:
            self._farewell = code, reason
            self._work.set()

    @property
    def is_closing(self) -> bool:
        return self._farewell is not None

    def turn(self, slot: int) -> None:
        """The wheel says that 10 ms have gone by, or 20."""
        if self._farewell is not None:
            self._count_farewell(slot)
        self._is_tick_due = self._ticks
        if not self._ticks or slot * SLOT_MS // TICK_MS % (PACKET_MS // TICK_MS) == 0:
            self._pieces_due = min(self._pieces_due + 1, MAX_LATE_PACKETS)
        self._work.set()

    def _count_farewell(self, slot: int) -> None:
        """Who reads nothing is not waited for."""
        self._farewell_slot = slot if self._farewell_slot is None else self._farewell_slot
        if (slot - self._farewell_slot) * SLOT_MS > FAREWELL_LIMIT_S * 1000:
            self.closed.set()

    async def run(self) -> None:
        """Send until closed by either side."""
        self._wheel.join(self, TICK_MS if self._ticks else PACKET_MS)
        try:
            while await self._send_next():
                pass
        except (RuntimeError, WebSocketDisconnect, OSError):
            # The far side is gone; whoever reads from the socket hears of it.
            return
        finally:
            self._wheel.leave(self)
            self.closed.set()

    async def _send_next(self) -> bool:
        """Whether there is more to come."""
        if self._pieces_due and self._farewell is None:
            self._pieces_due -= 1
            pcm = self.playout.take() if self.playout is not None else None
            if pcm is not None:
                await self._write(self._encode(pcm))
        elif self._waiting:
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message)
            await self._write(message)
        elif self._farewell is not None:
            await self._socket.close(*self._farewell)
            return False
        elif self._is_tick_due:
            await self._write(b"")
        else:
            self._work.clear()
            await self._work.wait()
        return True

    async def _write(self, message: Message) -> None:
        self._is_tick_due = False
        if isinstance(message, str):
            await self._socket.send_text(message)
        else:
            await self._socket.send_bytes(message)
