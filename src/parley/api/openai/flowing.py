"""Answers that are made while their client waits: it goes away, and the work stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from parley.core.errors import ParleyError, envelope
from parley.core.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")
AtEnd = Callable[[], Coroutine[Any, Any, None]]

EVENT_STREAM = "text/event-stream"
# Proxies hold small pieces back unless they are told not to.
_UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do the work unless the client goes away first: then it is cancelled.

    The request's body must have been read. Raises ``ClientGone``.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Awaited(Response):
    """An answer that is worked for; an error of the work is answered as any other.

    ``at_end`` is called when all is over, however it ends.
    """

    def __init__(
        self, work: Callable[[], Coroutine[Any, Any, Response]], *, at_end: AtEnd | None = None
    ) -> None:
        super().__init__()
        self._work = work
        self._at_end = at_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await while_connected(receive, self._work())
        except ClientGone:
            log.info("client_gone", path=scope["path"])
            return
        finally:
            if self._at_end is not None:
                await self._at_end()
        await answer(scope, receive, send)


class Flow(StreamingResponse):
    """A body sent as it is made.

    Nothing is sent before its first piece is there, so that what fails until then is answered
    with its proper status. What fails later cuts the connection: a client must not take half an
    answer for a whole one. A client that takes nothing for ``stall_s`` is cut off too.
    ``at_end`` is called when all is over, however it ends.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        media_type: str,
        *,
        stall_s: float,
        at_end: AtEnd | None = None,
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=_UNBUFFERED)
        self._at_end = at_end
        self._pieces = pieces
        self._stall_s = stall_s
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_connected(receive, self._flow(send))
        except ClientGone:
            log.info("client_gone", path=scope["path"])
        except Exception as error:
            # Too late for an error's answer, whatever it is: the broken-off body says it.
            if not self._has_begun:
                raise
            reason = str(error) if isinstance(error, ParleyError) else repr(error)
            log.warning("answer_broke_off", path=scope["path"], error=reason)
        finally:
            if self._at_end is not None:
                await self._at_end()

    async def _flow(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                if not self._has_begun:
                    await self._begin(send)
                await self._send(send, piece, more=True)
            if not self._has_begun:
                await self._begin(send)
            await self._send(send, b"", more=False)

    async def _begin(self, send: Send) -> None:
        self._has_begun = True
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )

    async def _send(self, send: Send, piece: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self._stall_s):
            await send({"type": "http.response.body", "body": piece, "more_body": more})


def sse(event: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


async def with_errors_told(events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The events, and one more for what fails behind the first: OpenAI's clients raise it."""
    has_begun = False
    async with aclosing(events):
        try:
            async for event in events:
                yield event
                has_begun = True
        except ParleyError as error:
            if not has_begun:
                raise
            log.warning("stream_failed", code=error.code, error=str(error))
            yield sse(envelope(error))
        except Exception as error:
            # The head is sent: whatever breaks now can only be told as an event.
            if not has_begun:
                raise
            log.error("stream_broke", exc_info=error)
            yield sse(envelope(ParleyError("Something broke in here; the log has the details.")))
