"""A blind transfer: the far side was sent to somebody else, and tells how that goes. (RFC 3515.)"""

from __future__ import annotations

import asyncio
from typing import Any

from parley.core.errors import InvalidValue
from parley.transports.sip.addresses import SipUri
from parley.transports.sip.grammar import Malformed, loose_parameters, read_number
from parley.transports.sip.message import Request


class Transfer:
    """Follows the NOTIFYs of one REFER to the last."""

    def __init__(self, target: str) -> None:
        try:
            self.target = SipUri.read(target)
        except Malformed as error:
            raise InvalidValue(
                f"Nobody can be transferred to {target[:80]!r}: {error}.",
                hint="Name a target like sip:100@pbx.example.org or tel:+4930123456.",
                param="target",
            ) from error
        self._last = 0
        self._final: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take(self, notify: Request) -> None:
        """Read a NOTIFY: the status line of the other call, and whether more will come."""
        status = _fragment_status(notify)
        self._last = status or self._last
        state = notify.headers.first("subscription-state").partition(";")[0].strip().lower()
        if self._final.done():
            return
        if status >= 200:
            self._final.set_result(status)
        elif state == "terminated":
            self._final.set_result(_status_of_reason(notify, self._last))

    async def outcome(self, over: asyncio.Future[Any], limit_s: float) -> int:
        """The status that the target answered with; 408 where nothing is heard of it in time.

        A far side that hangs up on us has been taken over by its new call.
        """
        await asyncio.wait(
            [self._final, over], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
        )
        if self._final.done():
            return self._final.result()
        return 200 if over.done() and over.result().by == "far" else 408


def _fragment_status(notify: Request) -> int:
    """``SIP/2.0 200 OK`` in the body; 0 where there is nothing of the kind."""
    words = notify.text.lstrip().split(None, 2)
    if len(words) < 2 or not words[0].upper().startswith("SIP/"):
        return 0
    try:
        return read_number(words[1], 699)
    except Malformed:
        return 0


def _status_of_reason(notify: Request, last: int) -> int:
    """What the end of a subscription means that didn't say how the call went."""
    if last >= 200:
        return last
    reason = loose_parameters(notify.headers.first("subscription-state")).get("reason", "")
    return {"rejected": 603, "timeout": 408}.get(reason.lower(), 480)
