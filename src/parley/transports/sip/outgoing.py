"""A call that goes out: rung, answered, or refused in one of the ways that people know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from parley.core.errors import ConnectFailed, UnsupportedMedia
from parley.core.log import get_logger
from parley.transports.sip.addresses import Hop
from parley.transports.sip.bodies import sdp_of, with_sdp
from parley.transports.sip.call import SipDialog
from parley.transports.sip.client_transaction import ClientTransaction, cancel_of
from parley.transports.sip.dialog import MAX_FORWARDS, Dialog, new_call_id, new_tag
from parley.transports.sip.grammar import printable
from parley.transports.sip.line import Line
from parley.transports.sip.message import Headers, Request, Response
from parley.transports.sip.replies import ALLOW, Lines

log = get_logger(__name__)

Outcome = Literal["busy", "declined", "no_answer", "unknown", "cancelled", "failed"]

_OUTCOMES: dict[int, Outcome] = {
    403: "declined",
    404: "unknown",
    408: "no_answer",
    410: "unknown",
    480: "no_answer",
    484: "unknown",
    486: "busy",
    487: "cancelled",
    600: "busy",
    603: "declined",
    604: "unknown",
    607: "declined",
    608: "declined",
}


# What those say to an encrypted offer that can't do that.
_NOT_THAT_WAY = (415, 488, 606)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody took the call. ``status`` is SIP's."""

    outcome: Outcome
    status: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dialling:
    """Whom to call, as whom, and by which way. ``target`` and ``caller`` are URIs."""

    target: str
    hop: Hop
    caller: str
    caller_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    routes: tuple[str, ...] = ()
    ring_limit_s: float = 60.0


class OutgoingCall:
    """One try to call somebody. ``ringing`` is set when it rings there. ``reoffer`` makes the offer
    that is sent where the first one can't be taken."""

    def __init__(
        self,
        line: Line,
        dialling: Dialling,
        sdp: str,
        prepare: Callable[[SipDialog], None] | None = None,
        reoffer: Callable[[], str] | None = None,
    ) -> None:
        self.ringing = asyncio.Event()
        self.call_id = new_call_id()
        self._line = line
        self._dialling = dialling
        self._sdp = sdp
        self._prepare = prepare
        self._reoffer = reoffer
        self._tag = new_tag()
        self._contact = ""
        self._transaction: ClientTransaction | None = None
        self._result: asyncio.Future[SipDialog | Unanswered]
        self._result = asyncio.get_running_loop().create_future()
        self._giving_up: Outcome | None = None
        self._is_cancel_sent = False
        self._calls: dict[str, SipDialog] = {}
        self._seq = 0

    async def result(self) -> SipDialog | Unanswered:
        """The call once it is answered (``remote_sdp`` is the answer), or why it isn't."""
        return await asyncio.shield(self._result)

    def cancel(self) -> None:
        """Let it ring no longer. May be repeated, and come too late."""
        self._give_up("cancelled")

    # ── the course of it ─────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Call; a password is given if one is asked for, and another offer made if one must be."""
        try:
            self._contact = await self._line.contact_towards(self._dialling.hop)
            if self._giving_up is not None:
                return
            async with asyncio.timeout(self._dialling.ring_limit_s + self._line.timing.give_up_s):
                response = await self._try()
                if response.status in _NOT_THAT_WAY and self._reoffer and not self._giving_up:
                    log.info("sip_offer_repeated", call_id=self.call_id, status=response.status)
                    self._sdp = self._reoffer()
                    response = await self._try()
            self._conclude(response)
        except ConnectFailed as error:
            self._settle(Unanswered("failed", 503, error.message))
        except TimeoutError:
            self._settle(Unanswered("no_answer", 408))
        finally:
            self._settle(Unanswered("failed", 500))

    async def _try(self) -> Response:
        response = await self._ask(())
        proof = self._line.proof(self._request(()), response)
        if proof is None or self._giving_up is not None:
            return response
        return await self._ask([proof])

    async def _ask(self, extra: Lines) -> Response:
        self._seq += 1
        loop = asyncio.get_running_loop()
        limit = loop.call_later(self._dialling.ring_limit_s, self._give_up, "no_answer")
        try:
            transaction = self._transaction = await self._line.transactions.send(
                self._request(extra), self._dialling.hop, self._hear, self._taken
            )
            return await asyncio.shield(transaction.final)
        finally:
            limit.cancel()

    def _request(self, extra: Lines) -> Request:
        dialling = self._dialling
        headers, body = with_sdp(self._sdp)
        name = dialling.caller_name.replace("\\", "").replace('"', "")
        caller = f'"{printable(name)}" ' if name else ""
        lines = [
            *(("Route", route) for route in dialling.routes),
            MAX_FORWARDS,
            ("From", f"{caller}<{dialling.caller}>;tag={self._tag}"),
            ("To", f"<{dialling.target}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._seq} INVITE"),
            ("Contact", self._contact),
            ALLOW,
            *dialling.headers,
            *extra,
            *headers,
        ]
        return Request(Headers(lines), body, "INVITE", dialling.target)

    def _hear(self, response: Response) -> None:
        """A provisional answer: it rings, or a cancellation may be sent at last."""
        if response.status > 100:
            self.ringing.set()
        self._send_cancel()

    def _give_up(self, outcome: Outcome) -> None:
        if self._result.done() or self._giving_up is not None:
            return
        self._giving_up = outcome
        self._send_cancel()
        self._settle(Unanswered(outcome, 487 if outcome == "cancelled" else 408))

    def _send_cancel(self) -> None:
        """A CANCEL may only follow an answer: before, it could overtake its INVITE (9.1)."""
        transaction = self._transaction
        if self._giving_up is None or self._is_cancel_sent or transaction is None:
            return
        if transaction.is_proceeding and not transaction.final.done():
            self._is_cancel_sent = True
            self._line.transactions.send_on(cancel_of(transaction.request), transaction.flow)
            self._line.crew.spawn(self._await_cancelled(transaction), "sip:cancel")

    async def _await_cancelled(self, transaction: ClientTransaction) -> None:
        """Whoever doesn't even answer a cancellation is given up (9.1)."""
        await asyncio.wait([transaction.final], timeout=self._line.timing.give_up_s)
        transaction.fail(487)

    def _taken(self, response: Response) -> None:
        """Somebody answered: the first to do so has the call, any other is told goodbye."""
        call = self._calls.get(response.to_tag)
        if call is None:
            call = self._calls[response.to_tag] = self._begin(response)
            if self._prepare is not None and self._giving_up is None and len(self._calls) == 1:
                self._prepare(call)
        call.acknowledge(response)
        is_wanted = self._giving_up is None and len(self._calls) == 1
        if is_wanted:
            self._settle(call)
        elif not call.over.done() and (not self._result.done() or self._result.result() != call):
            self._line.crew.spawn(call.bye("not wanted any more"), "sip:bye")

    def _begin(self, response: Response) -> SipDialog:
        transaction = self._transaction
        assert transaction is not None
        dialog = Dialog.of_callee(transaction.request, response, self._contact, transaction.flow)
        try:
            answer = sdp_of(response)
        except UnsupportedMedia:
            answer = ""
        return SipDialog(self._line, dialog, answer)

    def _conclude(self, response: Response) -> None:
        if not response.is_success:
            outcome = _OUTCOMES.get(response.status, "failed")
            self._settle(Unanswered(outcome, response.status, printable(response.phrase)))

    def _settle(self, result: SipDialog | Unanswered) -> None:
        if not self._result.done():
            self._result.set_result(result)
