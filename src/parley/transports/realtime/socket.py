"""``/v1/realtime``: the Realtime protocol over a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from parley.access.guard import caller_of
from parley.core.call import EndReason
from parley.core.errors import ParleyError, envelope, error_headers
from parley.core.log import bind_call, get_logger
from parley.transports.realtime.admission import Begun, Reception
from parley.transports.realtime.exchange import Exchange
from parley.transports.realtime.farewell import last_error
from parley.transports.realtime.line import FindVoice
from parley.transports.realtime.sideband import Sideband, require_room
from parley.transports.realtime.socket_media import SocketMedia
from parley.transports.realtime.talk import Talk
from parley.transports.realtime.wire import Fault, as_bad_request

log = get_logger(__name__)

SUBPROTOCOL = "realtime"
TRANSCRIPTION = "transcription"

Guard = Callable[[HTTPConnection], Awaitable[Any]]

_CLOSE_CODES: dict[EndReason, int] = {
    "drain": 1001,
    "quota": 1008,
    "error": 1011,
    "limit": 1000,
    "idle": 1000,
}


def socket_router(
    reception: Reception,
    guard: Guard,
    find_voice: FindVoice,
    exchange: Exchange | None = None,
) -> APIRouter:
    """The route. ``guard`` says who is asking, or raises; ``exchange`` has the calls over WebRTC,
    which can be followed from here."""
    router = APIRouter(tags=["realtime"])
    calls = Exchange() if exchange is None else exchange
    door = _Door(reception, guard, find_voice, calls)
    router.add_api_websocket_route("/v1/realtime", door.enter)
    return router


class _Door:
    def __init__(
        self, reception: Reception, guard: Guard, find_voice: FindVoice, exchange: Exchange
    ) -> None:
        self._reception = reception
        self._guard = guard
        self._find_voice = find_voice
        self._exchange = exchange

    async def enter(self, socket: WebSocket) -> None:
        """Let a client in, or answer its handshake with the reason why not."""
        try:
            await self._guard(socket)
            if call_id := socket.query_params.get("call_id", ""):
                followed = self._exchange.find(call_id, caller_of(socket))
                require_room(followed)
                await _accept(socket)
                await Sideband(socket, followed).hold()
                return
            begun = await self._admit(socket)
        except (Fault, ParleyError) as fault:
            await _refuse(socket, fault)
            return
        try:
            await _accept(socket)
        except BaseException:
            begun.place.release()
            raise
        await _Visit(socket, begun, self._reception, self._find_voice).hold()

    async def _admit(self, socket: WebSocket) -> Begun:
        query = socket.query_params
        session = {"type": TRANSCRIPTION} if query.get("intent") == TRANSCRIPTION else {}
        return await self._reception.admit(socket, query.get("model", ""), session)


class _Visit:
    """One client, from its acceptance to its last word."""

    def __init__(
        self, socket: WebSocket, begun: Begun, reception: Reception, find_voice: FindVoice
    ) -> None:
        self._socket = socket
        self._begun = begun
        self._host = reception.host
        call_id = begun.place.call.id
        self._media = SocketMedia(call_id)
        self._talk = Talk(
            self._media, begun.place.agent, begun.config, find_voice, begun.open_account
        )
        self._media.carry(self._talk)

    async def hold(self) -> None:
        bind_call(self._begun.place.call.id)
        self._talk.greet()
        control = self._host.start(self._begun.place, self._media, self._begun.terms)
        self._media.hand_over(control)
        reading = asyncio.create_task(self._read(), name="realtime:read")
        writing = asyncio.create_task(self._write(), name="realtime:write")
        over = asyncio.create_task(self._media.is_over.wait(), name="realtime:over")
        try:
            await asyncio.wait([reading, writing, over], return_when=asyncio.FIRST_COMPLETED)
            # The client is gone; the session ends, and says so with the last of the outbox.
            self._media.leave("caller")
            # Who reads nothing is not waited for longer than the session itself takes.
            await asyncio.wait([writing, over], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, writing, over):
                task.cancel()
            await asyncio.gather(reading, writing, over, return_exceptions=True)
            self._media.leave("error")
            self._media.is_flushed.set()

    async def _read(self) -> None:
        await self._media.has_begun.wait()
        while not self._media.has_left:
            try:
                message = await self._socket.receive()
            except (RuntimeError, WebSocketDisconnect):
                return
            if message["type"] == "websocket.disconnect":
                return
            await self._talk.receive(message.get("text") or message.get("bytes") or "")

    async def _write(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect, OSError):
            while (text := await self._media.outbox.get()) is not None:
                await self._socket.send_text(text)
                self._media.sent(text)
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        reason = self._media.ended_with or "error"
        if reason == "caller":
            return
        if (error := last_error(reason, self._media.failure)) is not None:
            await self._socket.send_json(error)
        await self._socket.close(_CLOSE_CODES.get(reason, 1000), reason)


async def _accept(socket: WebSocket) -> None:
    offered = socket.headers.get("sec-websocket-protocol", "")
    names = {name.strip() for name in offered.split(",")}
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in names else None)


async def _refuse(socket: WebSocket, fault: Fault | ParleyError) -> None:
    """An HTTP answer in the place of the handshake, in OpenAI's form."""
    if isinstance(fault, Fault):
        fault = as_bad_request(fault)
    answer = JSONResponse(envelope(fault), fault.status, headers=error_headers(fault))
    await socket.send_denial_response(answer)
