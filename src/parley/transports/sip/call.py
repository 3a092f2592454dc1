"""A call that has been answered: what may be done to it, and what the far side does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal

from parley.core.errors import CallNotLive, FarSideRefused, ParleyError, UnsupportedMedia
from parley.transports.sip.addresses import Address
from parley.transports.sip.bodies import content_type, sdp_of, with_sdp
from parley.transports.sip.callbacks import changes_nothing, knows_no_type, wants_nothing
from parley.transports.sip.dialog import Dialog
from parley.transports.sip.ending import Ending
from parley.transports.sip.grammar import Malformed, loose_parameters, printable
from parley.transports.sip.line import Line
from parley.transports.sip.message import Request, Response
from parley.transports.sip.replies import (
    ACCEPT,
    ALLOW,
    UNSERVED,
    Lines,
    reason_line,
    reply,
    warning_line,
)
from parley.transports.sip.server_transaction import ServerTransaction
from parley.transports.sip.transfer import Transfer

CHANGE_TRIES = 3


class SipDialog:
    """One call, from its answer to its end.

    The callbacks are for whoever has the call's sound. ``on_reinvite`` gets the far side's new
    description and returns ours (gets "" where the far side wants an offer, and the answer to it
    goes to ``on_answer``); a ``ParleyError`` from it leaves the call as it was. ``on_info`` gets
    type and body; ``UnsupportedMedia`` from it says that the type means nothing here.
    """

    def __init__(self, line: Line, dialog: Dialog, remote_sdp: str) -> None:
        loop = asyncio.get_running_loop()
        self.remote_sdp = remote_sdp
        self.over: asyncio.Future[Ending] = loop.create_future()
        self.on_reinvite: Callable[[str], Awaitable[str]] = changes_nothing
        self.on_answer: Callable[[str], Awaitable[None]] = wants_nothing
        self.on_info: Callable[[str, str], Awaitable[None]] = knows_no_type
        self._line = line
        self._dialog = dialog
        self._unacked: ServerTransaction | None = None
        self._acked: asyncio.Future[str] = loop.create_future()
        self._is_theirs_pending = False
        self._is_ours_pending = False
        self._own_change = asyncio.Lock()
        self._transfer: Transfer | None = None
        self._saying_bye: asyncio.Task[None] | None = None
        line.dialogs[dialog.key] = self

    @property
    def call_id(self) -> str:
        """SIP's own name of the call."""
        return self._dialog.call_id

    # ── what we do ───────────────────────────────────────────────────────────────────────

    async def bye(self, reason: str = "") -> None:
        """End the call; returns when the far side knows, or can't be told. May be repeated."""
        if not self.over.done():
            self.over.set_result(Ending("us", reason))
            self._saying_bye = self._line.crew.spawn(self._say_bye(reason), "sip:bye")
        if self._saying_bye is not None:
            # It is the endpoint's to end; whoever waits for it only stops waiting then.
            await asyncio.wait([self._saying_bye])

    async def _say_bye(self, reason: str) -> None:
        try:
            if self._unacked is not None:
                # Whoever hasn't had our answer can't be told that the call is over (15.1.2).
                await asyncio.wait([self._acked])
            await self._line.say_bye(self._dialog, reason)
        finally:
            self._forget()

    async def refer(self, target: str) -> int:
        """Ask the far side to call ``target`` instead; the status that it came to there."""
        self._require_live()
        transfer = self._transfer = Transfer(target)
        referrer = f"<{Address.read(self._dialog.local).uri}>"
        extra = [("Refer-To", f"<{transfer.target}>"), ("Referred-By", referrer)]
        response = await self._line.ask_in_dialog(self._dialog, "REFER", extra)
        if not response.is_success:
            self._notice_loss(response)
            return response.status
        return await transfer.outcome(self.over, self._line.options.transfer_limit_s)

    async def send_info(self, content_type: str, body: str) -> int:
        """Send an INFO; the status of its answer."""
        self._require_live()
        extra = [("Content-Type", content_type)]
        response = await self._line.ask_in_dialog(self._dialog, "INFO", extra, body.encode())
        self._notice_loss(response)
        return response.status

    async def reinvite(self, offer: Callable[[], str]) -> str:
        """Offer another description, made anew for each try: the far side may have changed the call
        in between. Returns its answer. Raises ``FarSideRefused``, and ``CallNotLive``."""
        async with self._own_change:
            response = await self._offer(offer())
            for _ in range(CHANGE_TRIES - 1):
                if response.status != 491:
                    break
                await asyncio.sleep(self._dialog.collision_pause_s(self._line.timing.t1_s))
                self._require_live()
                response = await self._offer(offer())
        self._notice_loss(response)
        self._require_live()
        if not response.is_success:
            why = f"{response.status} {printable(response.phrase)}".strip()
            raise FarSideRefused(f"The far side refused to change the call: {why}.")
        self._dialog.refresh_target(response)
        self.remote_sdp = sdp_of(response)
        return self.remote_sdp

    async def _offer(self, sdp: str) -> Response:
        self._require_live()
        headers, body = with_sdp(sdp)
        self._is_ours_pending = True
        try:
            return await self._line.ask_in_dialog(
                self._dialog, "INVITE", [ALLOW, *headers], body, self.acknowledge
            )
        finally:
            self._is_ours_pending = False

    def acknowledge(self, response: Response) -> None:
        """Tell the far side that its answer has come, each time that it comes."""
        seq = int(response.headers.first("cseq").split()[0])
        self._line.crew.spawn(self._line.send_ack(self._dialog, seq), "sip:ack")

    def _require_live(self) -> None:
        if self.over.done():
            raise CallNotLive("The call is over.")

    def _notice_loss(self, response: Response) -> None:
        """A far side that knows of no call, or doesn't answer, has none any more (12.2.1.2)."""
        if response.status in (408, 481):
            self._end("lost", f"{response.status} to a request within the call")

    # ── what the far side does ───────────────────────────────────────────────────────────

    def answered_with(self, transaction: ServerTransaction, response: Response) -> None:
        """Send the answer to an INVITE, again and again until its ACK has come."""
        self._settle_ack("")
        self._unacked = transaction
        self._acked = asyncio.get_running_loop().create_future()
        transaction.on_no_ack = self._no_ack
        transaction.respond(response)

    async def acked(self) -> str:
        """Return what the ACK described. Raises ``CallNotLive`` where none came."""
        await asyncio.wait([self._acked, self.over], return_when=asyncio.FIRST_COMPLETED)
        if not self._acked.done() or (self.over.done() and self.over.result().by == "lost"):
            raise CallNotLive(f"The call is over: {self.over.result().reason}.")
        return self._acked.result()

    def take_ack(self, ack: Request) -> None:
        waiting = self._unacked
        if waiting is None or waiting.request.cseq != ack.cseq:
            return
        try:
            sdp = sdp_of(ack)
        except UnsupportedMedia:
            sdp = ""
        self._settle_ack(sdp)

    def _settle_ack(self, sdp: str) -> None:
        """Send the answer no more: it has arrived, or nobody is waiting for it."""
        if self._unacked is not None:
            self._unacked.take_ack()
            self._unacked = None
            self._acked.set_result(sdp)

    def _no_ack(self) -> None:
        self._settle_ack("")
        if not self.over.done():
            self.over.set_result(Ending("lost", "the answer was never acknowledged"))
            self._saying_bye = self._line.crew.spawn(self._say_bye("no ACK"), "sip:bye")

    def take(self, transaction: ServerTransaction) -> None:
        """A new request within the call."""
        request = transaction.request
        if not self._dialog.is_next(request):
            self._reply(transaction, 500)
        elif request.method == "BYE":
            self._take_bye(transaction)
        elif self.over.done():
            self._reply(transaction, 481)
        elif request.method in ("INVITE", "UPDATE"):
            self._take_change(transaction)
        elif request.method == "INFO":
            self._line.crew.spawn(self._take_info(transaction), "sip:info")
        elif request.method == "NOTIFY":
            self._take_notify(transaction)
        elif request.method == "OPTIONS":
            self._reply(transaction, 200, [ALLOW, ACCEPT])
        else:
            status = 405 if request.method in UNSERVED else 501
            self._reply(transaction, status, [ALLOW])

    def _take_bye(self, transaction: ServerTransaction) -> None:
        self._reply(transaction, 200)
        reason = loose_parameters(transaction.request.headers.first("reason"))
        self._end("far", printable(reason.get("text", "") or reason.get("cause", "")))

    def _take_change(self, transaction: ServerTransaction) -> None:
        if self._is_ours_pending:
            self._reply(transaction, 491)
        elif self._is_theirs_pending:
            self._reply(transaction, 500, [("Retry-After", str(random.randint(1, 10)))])
        else:
            self._is_theirs_pending = True
            self._line.crew.spawn(self._change(transaction), "sip:change")

    async def _change(self, transaction: ServerTransaction) -> None:
        """Answer a re-INVITE or an UPDATE."""
        request = transaction.request
        try:
            offer = sdp_of(request)
            self._dialog.follow(request, transaction.flow)
            wants_offer = request.method == "INVITE"
            ours = await self.on_reinvite(offer) if offer or wants_offer else ""
            self._accept_change(transaction, offer, ours)
        except UnsupportedMedia:
            self._reply(transaction, 415, [ACCEPT])
        except Malformed:
            self._reply(transaction, 400)
        except ParleyError as error:
            lines = [*reason_line(488, error.message), *warning_line(error)]
            self._reply(transaction, 488, lines)
        finally:
            self._is_theirs_pending = False
            # After any answer this is nothing; nobody is left without one.
            self._reply(transaction, 500)

    def _accept_change(self, transaction: ServerTransaction, offer: str, ours: str) -> None:
        headers, body = with_sdp(ours)
        lines = [("Contact", self._dialog.contact), ALLOW, *headers]
        response = reply(transaction.request, 200, self._dialog.local_tag, lines, body=body)
        self.remote_sdp = offer or self.remote_sdp
        if transaction.request.method != "INVITE":
            transaction.respond(response)
            return
        self.answered_with(transaction, response)
        if not offer:
            self._line.crew.spawn(self._take_late_answer(), "sip:late-answer")

    async def _take_late_answer(self) -> None:
        try:
            self.remote_sdp = await self.acked()
        except CallNotLive:
            return
        await self.on_answer(self.remote_sdp)

    async def _take_info(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        try:
            await self.on_info(content_type(request), request.text)
            self._reply(transaction, 200)
        except UnsupportedMedia:
            self._reply(transaction, 415)
        finally:
            self._reply(transaction, 500)

    def _take_notify(self, transaction: ServerTransaction) -> None:
        if self._transfer is None:
            self._reply(transaction, 481)
            return
        self._reply(transaction, 200)
        self._transfer.take(transaction.request)

    def _reply(self, transaction: ServerTransaction, status: int, lines: Lines = ()) -> None:
        if status < 300:
            lines = [("Contact", self._dialog.contact), *lines]
        transaction.respond(reply(transaction.request, status, self._dialog.local_tag, lines))

    def _end(self, by: Literal["far", "lost"], reason: str) -> None:
        if not self.over.done():
            self.over.set_result(Ending(by, reason))
            self._forget()
        self._settle_ack("")

    def _forget(self) -> None:
        self._line.dialogs.pop(self._dialog.key, None)

    async def close(self) -> None:
        await self.bye("going down")
