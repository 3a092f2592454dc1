"""HTTP/1.1 for clients that say what they want: who doesn't is cut off, so that nobody can hold
connections open for nothing."""

from __future__ import annotations

import asyncio
import json
import uuid
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from parley.api.request_id import HEADER
from parley.core.errors import BadRequest, envelope

HEAD_S = 20.0
"""How long a request's head may take, counted from the connection's start or its first byte."""


class PromptHttp(H11Protocol):
    """uvicorn has a limit for idle connections between two requests, and none before the first
    one or in the middle of a head. Its answer to what is no HTTP gets the envelope of all others.
    """

    head_s = HEAD_S
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn has it
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Idle is also who has sent a part of the next request's head.
        if self.conn.their_state is not h11.IDLE:
            self._expect_nothing()
        elif self._head_timer is None and self.timeout_keep_alive_task is None:
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        body = json.dumps(envelope(BadRequest(msg, hint="Send HTTP/1.1."))).encode()
        head = h11.Response(
            status_code=HTTPStatus.BAD_REQUEST,
            headers=[
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
                (HEADER, f"req_{uuid.uuid4().hex}"),
            ],
            reason=HTTPStatus.BAD_REQUEST.phrase.encode(),
        )
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s, self._give_up)

    def _expect_nothing(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
