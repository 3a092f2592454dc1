"""A further client of a running WebRTC call, over a WebSocket: it hears all and may order all."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from parley.core.errors import CallLimitReached
from parley.core.log import bind_call, get_logger
from parley.transports.realtime.channel_media import ChannelMedia, written
from parley.transports.realtime.wire import server_event

log = get_logger(__name__)

MOST_AT_ONE_CALL = 8
MOST_WAITING_BYTES = 16 * 1024 * 1024


def require_room(media: ChannelMedia) -> None:
    """Raises ``CallLimitReached`` when as many listen to the call as may."""
    if media.onlookers >= MOST_AT_ONE_CALL:
        raise CallLimitReached(
            f"{MOST_AT_ONE_CALL} connections follow this call already.", hint="Close one of them."
        )


class Sideband:
    """One of them, from its acceptance to its end. The call goes on without it."""

    def __init__(self, socket: WebSocket, media: ChannelMedia) -> None:
        self._socket = socket
        self._media = media
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._is_over = False

    async def hold(self) -> None:
        bind_call(self._media.call_id)
        self._media.join(self)
        session = self._media.talk.config.shown()
        self.send(written(server_event("session.created", session=session)))
        reading = asyncio.create_task(self._read(), name="sideband:read")
        writing = asyncio.create_task(self._write(), name="sideband:write")
        try:
            await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._media.part(self)
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    # ── from the call ────────────────────────────────────────────────────────────────────

    def send(self, text: str) -> None:
        if self._is_over:
            return
        self._waiting_bytes += len(text)
        if self._waiting_bytes > MOST_WAITING_BYTES:
            log.warning("sideband_reads_nothing")
            self.end()
            return
        self._outbox.put_nowait(text)

    def end(self) -> None:
        self._is_over = True
        self._outbox.put_nowait(None)

    # ── the socket ───────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text") or message.get("bytes") or ""
                await self._media.receive(text, self)

    async def _write(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect, OSError):
            while (text := await self._outbox.get()) is not None:
                await self._socket.send_text(text)
                self._waiting_bytes -= len(text)
            await self._socket.close(1000, "the call is over")
