"""``/ws/pcm``: s16le mono both ways, and nothing that a PBX would have to know besides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from parley.access.guard import caller_of
from parley.core.call import CallInfo
from parley.core.errors import ParleyError, envelope, error_headers
from parley.core.log import bind_call, get_logger
from parley.core.tasks import begin, end
from parley.session.host import Place
from parley.transports.paced_line import PacedLine
from parley.transports.pcm.media import PcmMedia
from parley.transports.pcm.wishes import PcmWishes, mend_query
from parley.transports.reading_pace import ReadingPace
from parley.transports.rustpbx.door import TOKEN
from parley.transports.rustpbx.lines import Host, PbxLines
from parley.transports.wheel import Wheel

log = get_logger(__name__)

PATH = "/ws/pcm"
LARGEST_CHUNK_BYTES = 256 * 1024
"""More than a PBX's largest packet; whoever sends more sends no live sound."""
TOO_BIG = 1009

Guard = Callable[[HTTPConnection], Awaitable[Any]]


def pcm_router(host: Host, guard: Guard, wheel: Wheel, lines: PbxLines) -> APIRouter:
    """``guard`` says who is asking, or raises. The path that ends the URL may be the caller's key,
    which is why ``guard`` must look for ``TOKEN``: a PBX sends no headers. ``lines`` are those that
    other PBXes call on, too."""
    router = APIRouter(tags=["rustpbx"])
    door = _Door(host, guard, wheel, lines)
    # Not FastAPI's own way: it would read the query before it is mended.
    router.add_websocket_route(PATH, door.enter)
    router.add_websocket_route(f"{PATH}/{{{TOKEN}}}", door.enter)
    return router


class _Door:
    def __init__(self, host: Host, guard: Guard, wheel: Wheel, lines: PbxLines) -> None:
        self._host = host
        self._guard = guard
        self._wheel = wheel
        self._lines = lines

    async def enter(self, socket: WebSocket) -> None:
        """Let a PBX in, or answer its handshake with the reason why not."""
        mend_query(socket.scope)
        with ExitStack() as stack:
            try:
                visit = await self._receive(socket, stack)
            except ParleyError as error:
                log.info("pcm_refused", code=error.code, error=error.message)
                answer = JSONResponse(envelope(error), error.status, headers=error_headers(error))
                await socket.send_denial_response(answer)
                return
            await visit.hold()

    async def _receive(self, socket: WebSocket, stack: ExitStack) -> _Visit:
        await self._guard(socket)
        asker = caller_of(socket)
        wishes = PcmWishes.read(socket.query_params)
        stack.enter_context(self._lines.socket_of(asker.address))
        call = CallInfo(
            agent=wishes.agent,
            transport="pcm",
            caller=wishes.caller or asker.address,
            tenant=asker.tenant,
        )
        place = await self._lines.take(self._host, call)
        return _Visit(socket, place, self._host, wishes, self._wheel, self._lines)


class _Visit:
    """One socket, which is one call."""

    def __init__(
        self,
        socket: WebSocket,
        place: Place,
        host: Host,
        wishes: PcmWishes,
        wheel: Wheel,
        lines: PbxLines,
    ) -> None:
        self._socket = socket
        self._place = place
        self._host = host
        self._wishes = wishes
        self._wheel = wheel
        self._lines = lines
        self._line = PacedLine(socket, wheel, bytes)
        self._pace = ReadingPace()

    async def hold(self) -> None:
        """Return when the socket is closed."""
        try:
            await self._socket.accept()
        except BaseException:
            self._lines.give_back(self._place)
            raise
        bind_call(self._place.call.id)
        log.info("pcm_connected", far_call_id=self._wishes.far_call_id)
        media, line = self._new_media(), self._line
        media.take_line(line)
        self._host.start(self._place, media)
        sending = begin(line.run(), "pcm:send")
        reading = begin(self._read(media), "pcm:read")
        try:
            await asyncio.wait([sending, reading], return_when=asyncio.FIRST_COMPLETED)
            # Either the session is over and has closed the line, or the PBX is gone.
            media.leave("caller")
            await line.closed.wait()
        finally:
            media.leave("error")
            await end(sending, reading)

    def _new_media(self) -> PcmMedia:
        return PcmMedia(
            self._place.call.id,
            self._wheel,
            voice_rate_hz=self._wishes.voice_rate_hz,
            call_s=self._lines.options.call_s,
            on_over=self._lines.free,
        )

    async def _read(self, media: PcmMedia) -> None:
        while True:
            try:
                message = await self._socket.receive()
            except (RuntimeError, WebSocketDisconnect):
                return
            if message["type"] == "websocket.disconnect":
                return
            text: str = message.get("text") or ""
            pcm: bytes = message.get("bytes") or b""
            if max(len(text), len(pcm)) > LARGEST_CHUNK_BYTES:
                self._line.close(TOO_BIG, "That is more than a packet.")
                return
            if text:
                media.read(text)
            else:
                media.hear(pcm, self._wishes.rate_hz)
            await self._pace.turn(len(text) + len(pcm))
