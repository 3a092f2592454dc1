"""One request that came in, and its answer: sent again for every copy, and until it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from parley.transports.sip.message import Request, Response
from parley.transports.sip.sockets import Flow
from parley.transports.sip.timing import Alarms, Repeating, Timing

State = Literal["trying", "answered", "acked", "over"]


class ServerTransaction:
    """RFC 3261, 17.2, with RFC 6026's state for a call that was taken.

    ``send`` knows the way back. ``on_over`` is called once, when no copy of the request can come
    any more. A call's answer is repeated until ``take_ack``; ``on_no_ack`` is called where none
    comes.
    """

    def __init__(
        self,
        request: Request,
        flow: Flow,
        timing: Timing,
        send: Callable[[Response], None],
        on_over: Callable[[ServerTransaction], None],
    ) -> None:
        self.request = request
        self.flow = flow
        self.state: State = "trying"
        self.last: Response | None = None
        self.on_no_ack: Callable[[], None] | None = None
        self.owner: Any = None
        self._send = send
        self._on_over = on_over
        self._timing = timing
        self._alarms = Alarms()
        self._repeating: Repeating | None = None

    @property
    def is_answered(self) -> bool:
        return self.state != "trying"

    def respond(self, response: Response) -> None:
        """Send an answer; after a final one, others are nothing."""
        if self.is_answered:
            return
        self.last = response
        self._send(response)
        if not response.is_final:
            return
        self.state = "answered"
        if self.request.method == "INVITE":
            self._await_ack(response)
        else:
            linger_s = 0.0 if self.flow.is_reliable else self._timing.give_up_s
            self._alarms.set("over", linger_s, self._over)

    def _await_ack(self, response: Response) -> None:
        timing = self._timing
        self._alarms.set("over", timing.give_up_s, self._no_ack)
        # A proxy between may be lossy where our own connection isn't: a 2xx is always repeated.
        if response.is_success or not self.flow.is_reliable:
            self._repeating = Repeating(self._alarms, self._resend, timing.t1_s, timing.t2_s)
            self._repeating.start()

    def repeat(self) -> None:
        """A copy of the request has come."""
        if self.state in ("trying", "answered"):
            self._resend()

    def take_ack(self) -> None:
        """The answer has arrived."""
        if self.state != "answered" or self.request.method != "INVITE":
            return
        self.state = "acked"
        if self._repeating is not None:
            self._repeating.stop()
        taken = self.last is not None and self.last.is_success
        # Copies of the INVITE that are still on their way mustn't look like new calls.
        linger_s = self._timing.give_up_s if taken else self._timing.t4_s
        self._alarms.set("over", linger_s, self._over)

    def _resend(self) -> None:
        if self.last is not None:
            self._send(self.last)

    def _no_ack(self) -> None:
        is_taken = self.last is not None and self.last.is_success
        self._over()
        if is_taken and self.on_no_ack is not None:
            self.on_no_ack()

    def _over(self) -> None:
        self.close()
        self._on_over(self)

    def close(self) -> None:
        """Stop every timer."""
        self.state = "over"
        self._alarms.clear()
