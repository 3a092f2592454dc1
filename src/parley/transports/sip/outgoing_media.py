"""A call that goes out as the session sees it: it is connected once somebody has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from parley.core.call import EndReason
from parley.core.errors import CallNotTaken
from parley.core.events import CallRinging
from parley.session.dialling import Answerer
from parley.transports.sip.answering_machine import AnsweringMachine
from parley.transports.sip.outgoing import OutgoingCall, Unanswered
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.ringing import Answered
from parley.transports.sip.rtp.line import LineListener, PhoneLine

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
        self._outgoing: OutgoingCall | None = None
        super().__init__(call_id, make_line, on_over)

    def dial(self, place_call: PlaceCall, *, may_be_open: bool = False) -> None:
        """Let it ring there; ``connected`` tells what comes of it. Where it ``may_be_open``, those
        who take no encrypted sound are called without."""
        reoffer = self.line.offer_openly if may_be_open else None
        self._outgoing = place_call(self.line.offer(), self.take_over, reoffer)

    async def connected(self) -> None:
        """Return when somebody has answered. Raises ``CallNotTaken``."""
        outgoing = self._outgoing
        assert outgoing is not None, "nobody was dialled"
        telling = asyncio.create_task(self._tell_ringing(outgoing), name=f"rings:{self.call_id}")
        try:
            result = await outgoing.result()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        if isinstance(result, Unanswered):
            raise _not_taken(result, has_rung=outgoing.ringing.is_set())
        self.line.accept(result.remote_sdp)

    async def _tell_ringing(self, outgoing: OutgoingCall) -> None:
        await outgoing.ringing.wait()
        self._tell(CallRinging(call_id=self.call_id))

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
        await super()._close(reason)


def _not_taken(result: Unanswered, *, has_rung: bool) -> CallNotTaken:
    reason: EndReason = "unreachable"
    if result.outcome in ("busy", "declined", "unknown"):
        reason = result.outcome
    elif result.outcome == "no_answer" and (has_rung or result.status == 480):
        reason = "no_answer"
    told = f"{result.status} {result.reason}".strip() if result.status else result.reason
    return CallNotTaken(f"{_SAID[reason]} ({told}).", reason=reason)
