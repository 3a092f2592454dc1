"""What the parts of a call need of the endpoint: sending, keeping, proving who we are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from parley.core.errors import ConnectFailed
from parley.transports.sip.addresses import Hop, write_uri
from parley.transports.sip.crew import Crew
from parley.transports.sip.dialog import Dialog, DialogKey
from parley.transports.sip.digest import answer_challenge
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.message import Request, Response
from parley.transports.sip.options import SipOptions
from parley.transports.sip.replies import reason_line
from parley.transports.sip.server_transaction import ServerTransaction
from parley.transports.sip.sockets import Flow, Sockets
from parley.transports.sip.timing import Timing
from parley.transports.sip.transactions import Transactions


class InDialog(Protocol):
    """Whoever takes the requests of one dialog."""

    def take(self, transaction: ServerTransaction) -> None: ...

    def take_ack(self, ack: Request) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Line:
    """The endpoint's inside, as calls see it."""

    options: SipOptions
    timing: Timing
    sockets: Sockets
    transactions: Transactions
    crew: Crew
    dialogs: dict[DialogKey, InDialog] = field(default_factory=dict[DialogKey, InDialog])

    def contact(self, flow: Flow, user: str = "parley") -> str:
        """Our Contact, as the peer at the end of ``flow`` can use it."""
        host, port = self.sockets.own_address(flow)
        return f"<{write_uri(user, host, port, flow.carrier)}>"

    async def contact_towards(self, way: Hop | Flow, user: str = "parley") -> str:
        """The same before anything was sent. Raises ``ConnectFailed``."""
        return self.contact(await self.transactions.flow_to(way), user)

    async def ask_in_dialog(
        self,
        dialog: Dialog,
        method: str,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        on_success: Callable[[Response], None] | None = None,
    ) -> Response:
        """Send a request within a call and wait for its answer; a password is given if asked.

        Nobody reached answers 503, nobody answering 408.
        """
        lines = list(extra)
        for is_last in (False, True):
            request = dialog.request(method, lines, body)
            response = await self.ask(request, dialog, on_success)
            proof = self.proof(request, response)
            if is_last or proof is None:
                return response
            lines.append(proof)
        raise AssertionError("unreachable")

    async def ask(
        self,
        request: Request,
        dialog: Dialog,
        on_success: Callable[[Response], None] | None = None,
    ) -> Response:
        try:
            flow = await self._flow_to(dialog)
            transaction = await self.transactions.send(request, flow, None, on_success)
        except (ConnectFailed, Malformed):
            return Response(status=503)
        return await asyncio.shield(transaction.final)

    async def _flow_to(self, dialog: Dialog) -> Flow:
        """The way to the far side; back to where it came from, if what it says of itself leads
        nowhere. Raises ``ConnectFailed`` and ``Malformed``."""
        try:
            return await self.transactions.flow_to(dialog.way)
        except ConnectFailed:
            if dialog.source is None or not dialog.source.is_open:
                raise
            return dialog.source

    async def say_bye(self, dialog: Dialog, reason: str) -> None:
        """End a dialog; returns when the far side knows, or can't be told."""
        flow, extra = dialog.flow, reason_line(200, reason)
        response = await self.ask_in_dialog(dialog, "BYE", extra)
        if response.status == 503 and flow is not None and not flow.is_open:
            # Its connection broke over this; it may be reached where it said that it is.
            await self.ask_in_dialog(dialog, "BYE", extra)

    def proof(self, request: Request, response: Response) -> tuple[str, str] | None:
        """What answers a demand for a password."""
        if response.status not in (401, 407):
            return None
        account = self.options.account
        return answer_challenge(
            response, request.method, request.uri, account.username, account.password
        )

    async def send_ack(self, dialog: Dialog, seq: int) -> None:
        """The ACK to a success: a request of its own that nobody answers."""
        ack = dialog.request("ACK", seq=seq)
        try:
            flow = await self._flow_to(dialog)
        except (ConnectFailed, Malformed):
            return
        self.transactions.dress(ack, flow)
        flow.send(ack.encode())
