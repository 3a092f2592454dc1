"""One request of ours: sent until somebody answers, or nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from parley.transports.sip.message import Headers, Request, Response
from parley.transports.sip.replies import reply
from parley.transports.sip.sockets import Flow
from parley.transports.sip.timing import Alarms, Repeating, Timing


class ClientTransaction:
    """RFC 3261, 17.1. ``final`` is the answer; 408 where none came.

    Provisional answers go to ``on_provisional``. So does, for INVITE, every success to
    ``on_success``: copies of it and those of other branches too, for each wants its ACK.
    """

    def __init__(
        self,
        request: Request,
        flow: Flow,
        timing: Timing,
        on_over: Callable[[ClientTransaction], None],
        on_provisional: Callable[[Response], None] | None = None,
        on_success: Callable[[Response], None] | None = None,
    ) -> None:
        self.request = request
        self.flow = flow
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.is_proceeding = False
        self._timing = timing
        self._on_over = on_over
        self._on_provisional = on_provisional
        self._on_success = on_success
        self._is_invite = request.method == "INVITE"
        self._ack: Request | None = None
        self._alarms = Alarms()
        most_s = timing.give_up_s if self._is_invite else timing.t2_s
        self._repeating = Repeating(self._alarms, self._send, timing.t1_s, most_s)

    def start(self) -> None:
        self._send()
        self._alarms.set("give_up", self._timing.give_up_s, self._nobody)
        if not self.flow.is_reliable:
            self._repeating.start()

    def _send(self) -> None:
        self.flow.send(self.request.encode())

    def take(self, response: Response) -> None:
        """An answer has come."""
        if not response.is_final:
            self._take_provisional(response)
        elif self._is_invite and response.is_success:
            self._conclude(response, self._timing.give_up_s)
            if self._on_success is not None:
                self._on_success(response)
        else:
            if self._is_invite:
                self._send_ack(response)
            self._conclude(response, self._linger_s)

    def _take_provisional(self, response: Response) -> None:
        if self.final.done():
            return
        self.is_proceeding = True
        if self._is_invite:
            self._alarms.clear()
        else:
            self._repeating.next_s = self._timing.t2_s
        if self._on_provisional is not None:
            self._on_provisional(response)

    @property
    def _linger_s(self) -> float:
        """How long copies of the answer may still come."""
        if self.flow.is_reliable:
            return 0.0
        return self._timing.give_up_s if self._is_invite else self._timing.t4_s

    def _conclude(self, response: Response, linger_s: float) -> None:
        if self.final.done():
            return
        self._alarms.clear()
        self.final.set_result(response)
        self._alarms.set("over", linger_s, self._over)

    def _send_ack(self, response: Response) -> None:
        """The ACK to a refusal belongs to this transaction (17.1.1.3)."""
        if self._ack is None:
            self._ack = ack_of(self.request, response)
        self.flow.send(self._ack.encode())

    def _nobody(self) -> None:
        self.fail(408)

    def lose_way(self) -> None:
        """The connection is gone. Who has begun to answer may go on by another one."""
        if not self.is_proceeding:
            self.fail(503)

    def fail(self, status: int) -> None:
        """Nobody answers, or nobody can be reached."""
        if not self.final.done():
            self._conclude(reply(self.request, status, ""), 0.0)

    def _over(self) -> None:
        self.close()
        self._on_over(self)

    def close(self) -> None:
        """Stop every timer; whoever waits is told that nobody answered."""
        self._alarms.clear()
        if not self.final.done():
            self.final.set_result(reply(self.request, 408, ""))


def ack_of(request: Request, response: Response) -> Request:
    """The ACK to a refusal: the INVITE's way and branch, the To of the answer."""
    ack = Request(method="ACK", uri=request.uri)
    ack.headers = Headers(_of_same_transaction(request, "ACK", response.headers.first("to")))
    return ack


def cancel_of(request: Request) -> Request:
    """The CANCEL of an INVITE: its way and its branch."""
    cancel = Request(method="CANCEL", uri=request.uri)
    cancel.headers = Headers(_of_same_transaction(request, "CANCEL", request.headers.first("to")))
    cancel.read_via()
    cancel.check()
    return cancel


def _of_same_transaction(request: Request, method: str, to: str) -> list[tuple[str, str]]:
    routes = [("Route", value) for value in request.headers.all("route")]
    return [
        ("Via", request.headers.all("via")[0]),
        *routes,
        ("Max-Forwards", "70"),
        ("From", request.headers.first("from")),
        ("To", to),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq} {method}"),
    ]
