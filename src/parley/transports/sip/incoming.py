"""A call that comes in and hasn't been answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from parley.core.errors import CallNotLive
from parley.transports.sip.addresses import Carrier, SipUri
from parley.transports.sip.bodies import sdp_of, with_sdp
from parley.transports.sip.call import SipDialog
from parley.transports.sip.dialog import Dialog, new_tag
from parley.transports.sip.door import Pass
from parley.transports.sip.grammar import printable
from parley.transports.sip.line import Line
from parley.transports.sip.message import Request, long_name
from parley.transports.sip.replies import ALLOW, Lines, reason_line, reply, retry_line
from parley.transports.sip.server_transaction import ServerTransaction


class IncomingInvite:
    """Somebody calls. Answer it once: with ``answer`` or with ``reject``.

    ``caller``, ``callee`` and ``dialled`` are URIs, each with its parts beside it: who calls, what
    was dialled as it reached us, and what the caller dialled. ``headers`` has every header by its
    name in small letters, several of one name joined by commas; only those of a trusted peer can be
    believed. ``user`` is who gave a password. ``own_host`` is what the caller may know us by.
    ``offer`` is "" where the caller wants ours.
    """

    def __init__(self, line: Line, transaction: ServerTransaction, leave: Pass) -> None:
        """Raises ``Malformed`` and ``UnsupportedMedia``."""
        request, flow = transaction.request, transaction.flow
        contact = line.contact(flow)
        self.offer = sdp_of(request)
        self.caller = printable(str(request.caller.uri))
        self.caller_user = printable(request.caller.uri.user)
        self.caller_name = request.caller.name
        self.callee = printable(request.uri)
        callee = SipUri.read(request.uri)
        self.callee_user = printable(callee.user)
        self.callee_host = callee.host
        self.dialled = printable(str(request.callee.uri))
        self.dialled_user = printable(request.callee.uri.user)
        self.dialled_host = request.callee.uri.host
        self.headers: Mapping[str, str] = _headers_of(request)
        self.source: tuple[str, int] = (flow.host, flow.port)
        self.carrier: Carrier = flow.carrier
        self.own_host = line.sockets.own_address(flow)[0]
        self.user = leave.user
        self.is_trusted = leave.is_trusted
        self.cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line = line
        self._transaction = transaction
        self._dialog = Dialog.of_caller(request, new_tag(), contact, flow)
        transaction.owner = self
        line.dialogs[self._dialog.key] = self

    @property
    def call_id(self) -> str:
        """SIP's own name of the call."""
        return self._dialog.call_id

    @property
    def is_answered(self) -> bool:
        """Whether nothing can be said to the caller any more."""
        return self._transaction.is_answered

    def ring(self) -> None:
        """Let the caller hear that somebody is being called."""
        self._respond(180, [("Contact", self._dialog.contact), ALLOW])

    async def answer(
        self, sdp: str, prepare: Callable[[SipDialog], None] | None = None
    ) -> SipDialog:
        """Take the call with our answer, or our offer where there was none.

        ``prepare`` gets the call before the caller can say anything in it, to set its callbacks.
        Returns once the caller has acknowledged; ``remote_sdp`` is the caller's side then.
        Raises ``CallNotLive`` where the caller has gone.
        """
        if self.is_answered:
            raise CallNotLive("The caller hung up before the answer.")
        headers, body = with_sdp(sdp)
        call = SipDialog(self._line, self._dialog, self.offer)
        if prepare is not None:
            prepare(call)
        lines = [("Contact", self._dialog.contact), ALLOW, *headers]
        request = self._transaction.request
        response = reply(request, 200, self._dialog.local_tag, lines, body=body)
        call.answered_with(self._transaction, response)
        try:
            described = await call.acked()
        except asyncio.CancelledError:
            # Nobody will hold the call that the caller is just being told of.
            self._line.crew.spawn(call.bye(), "sip:bye")
            raise
        call.remote_sdp = self.offer or described
        return call

    def reject(
        self, status: int, reason: str = "", retry_after_s: float = 0, more: Lines = ()
    ) -> None:
        """Refuse the call; ``reason`` is told in a Reason header, and ``more`` are others."""
        self._respond(status, [*reason_line(status, reason), *retry_line(retry_after_s), *more])
        self._leave()

    def _respond(self, status: int, lines: Lines = ()) -> None:
        tag = self._dialog.local_tag
        self._transaction.respond(reply(self._transaction.request, status, tag, lines))

    def give_up(self, why: Literal["cancelled", "hung up"]) -> None:
        """The caller doesn't want to wait any longer."""
        if self.is_answered:
            return
        self.reject(487, why)
        self.cancelled.set_result(None)

    def _leave(self) -> None:
        if self._line.dialogs.get(self._dialog.key) is self:
            del self._line.dialogs[self._dialog.key]

    # ── requests within what is no call yet ──────────────────────────────────────────────

    def take(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        tag = self._dialog.local_tag
        if not self._dialog.is_next(request):
            transaction.respond(reply(request, 500, tag))
        elif request.method == "BYE":
            transaction.respond(reply(request, 200, tag))
            self.give_up("hung up")
        else:
            status = 491 if request.method in ("INVITE", "UPDATE") else 481
            transaction.respond(reply(request, status, tag))

    def take_ack(self, ack: Request) -> None:
        """An ACK to a refusal belongs to its transaction; here is nothing to acknowledge."""

    async def close(self) -> None:
        self.reject(503, "going down", 5)


def _headers_of(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers:
        key, text = long_name(name), printable(value)
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
