"""A call that goes out as the session sees it: it is connected once somebody has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from parley.core.call import EndReason
from parley.core.errors import CallNotTaken, IncompatibleOffer
from parley.core.events import CallRinging
from parley.core.log import get_logger
from parley.session.dialling import Answerer
from parley.transports.sip.answering_machine import AnsweringMachine
from parley.transports.sip.outgoing import OutgoingCall, Unanswered
from parley.transports.sip.phone_media import GOODBYE_LIMIT_S, PhoneMedia
from parley.transports.sip.ringing import Answered
from parley.transports.sip.rtp.line import LineListener, PhoneLine

log = get_logger(__name__)

PlaceCall = Callable[
    [str, Callable[[Answered], None], Callable[[], str] | None],
    OutgoingCall,
]
"""Gets our description, who takes the call over once it is answered, and what makes another
description for those who can't take the first."""

_SAID = {
    "busy": "The line is busy",
    "declined": "The call was declined",
    "no_answer": "Nobody answered",
    "unknown": "Nobody is known under that number",
    "unreachable": "The other end can't be reached",
}


class OutgoingMedia(PhoneMedia):
    """Implements ``CallMedia``. ``ear`` listens for a machine first; the agent hears nothing
    until it has decided, and of a machine that a message is left on nothing at all."""

    def __init__(
        self,
        call_id: str,
        make_line: Callable[[LineListener], PhoneLine],
        on_over: Callable[[PhoneMedia], None],
        ear: AnsweringMachine | None = None,
        *,
        leaves_message: bool = False,
    ) -> None:
        self._ear = ear
        self._leaves_message = leaves_message
        self._is_machine = False
        self._may_be_open = False
        self._has_rung = False
        self._place_call: PlaceCall | None = None
        self._outgoing: OutgoingCall | None = None
        self._in_vain: Answered | None = None
        super().__init__(call_id, make_line, on_over)

    def dial(self, place_call: PlaceCall, *, may_be_open: bool = False) -> None:
        """Let it ring there; ``connected`` tells what comes of it. Where it ``may_be_open``, those
        who take no encrypted sound are called without."""
        self._place_call, self._may_be_open = place_call, may_be_open
        reoffer = self.line.offer_openly if may_be_open else None
        self._outgoing = place_call(self.line.offer(), self.take_over, reoffer)

    def take_over(self, call: Answered) -> None:
        """As for every call. One that was answered without the sound that was offered comes to
        nothing where another may be made; its end isn't ours."""
        if self._may_be_open and self.line.refuses_secrecy(call.remote_sdp):
            self._in_vain = call
        else:
            super().take_over(call)

    async def connected(self) -> None:
        """Return when somebody has answered. Raises ``CallNotTaken``."""
        result = await self._result()
        if self._in_vain is not None and result is self._in_vain:
            await self._call_openly(self._in_vain)
            result = await self._result()
        if isinstance(result, Unanswered):
            assert self._outgoing is not None, "nobody was dialled"
            has_rung = self._has_rung or self._outgoing.ringing.is_set()
            raise _not_taken(result, has_rung=has_rung)
        try:
            self.line.accept(result.remote_sdp)
        except IncompatibleOffer as error:
            message = f"The call was answered, and no sound can flow. {error.message}"
            raise CallNotTaken(message, reason="unreachable") from error

    async def _result(self) -> Answered | Unanswered:
        outgoing = self._outgoing
        assert outgoing is not None, "nobody was dialled"
        telling = asyncio.create_task(self._tell_ringing(outgoing), name=f"rings:{self.call_id}")
        try:
            return await outgoing.result()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell_ringing(self, outgoing: OutgoingCall) -> None:
        await outgoing.ringing.wait()
        if not self._has_rung:
            self._has_rung = True
            self._tell(CallRinging(call_id=self.call_id))

    async def _call_openly(self, in_vain: Answered) -> None:
        """An answer can't be taken back (RFC 3264, 6): the call ends, and another one is made."""
        log.info("sip_offer_repeated", call_id=self.call_id, status=200)
        # A telephone with one line is busy until it knows.
        await self._hang_up_on(in_vain)
        assert self._place_call is not None, "nobody was dialled"
        self._outgoing = self._place_call(self.line.offer_openly(), self.take_over, None)

    async def _hang_up_on(self, in_vain: Answered) -> None:
        try:
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                await in_vain.bye("no encrypted sound")
        except TimeoutError:
            log.warning("sip_goodbye_unanswered")

    async def answered_by(self) -> Answerer | None:
        if self._ear is None:
            return None
        answerer = await self._ear.verdict()
        self._is_machine = answerer.by == "machine"
        return answerer

    async def machine_listens(self) -> None:
        if self._ear is not None:
            await self._ear.listens()

    def on_sound(self, pcm: bytes) -> None:
        if self._ear is not None:
            was_decided = self._ear.is_decided
            self._ear.take(pcm)
            # What a machine says must not interrupt the message that it gets.
            if not was_decided or (self._is_machine and self._leaves_message):
                return
        super().on_sound(pcm)

    async def _close(self, reason: EndReason) -> None:
        if self._outgoing is not None:
            self._outgoing.cancel()
        if self._in_vain is not None and not self._in_vain.over.done():
            await self._hang_up_on(self._in_vain)
        await super()._close(reason)


def _not_taken(result: Unanswered, *, has_rung: bool) -> CallNotTaken:
    reason: EndReason = "unreachable"
    if result.outcome in ("busy", "declined", "unknown"):
        reason = result.outcome
    elif result.outcome == "no_answer" and (has_rung or result.status == 480):
        reason = "no_answer"
    told = f"{result.status} {result.reason}".strip() if result.status else result.reason
    return CallNotTaken(f"{_SAID[reason]} ({told}).", reason=reason)
