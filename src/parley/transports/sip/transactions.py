"""Which request a message belongs to: copies, ACKs, CANCELs and answers find their own."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from parley.core.errors import ConnectFailed
from parley.core.log import get_logger
from parley.transports.sip.addresses import BRANCH_COOKIE, USUAL_PORT, Hop, write_host
from parley.transports.sip.client_transaction import ClientTransaction
from parley.transports.sip.crew import Crew
from parley.transports.sip.message import Headers, Request, Response
from parley.transports.sip.replies import PRODUCT, reply, stamp
from parley.transports.sip.server_transaction import ServerTransaction
from parley.transports.sip.sockets import Flow, Sockets, UdpFlow
from parley.transports.sip.timing import Timing

log = get_logger(__name__)

MAX_TRANSACTIONS = 20_000


class Transactions:
    """All that are going on."""

    def __init__(self, sockets: Sockets, timing: Timing, crew: Crew) -> None:
        self._sockets = sockets
        self._timing = timing
        self._crew = crew
        self._servers: dict[tuple[str, ...], ServerTransaction] = {}
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._calls: dict[tuple[str, str, int, str], ServerTransaction] = {}
        sockets.on_lost.append(self._lose)

    def __len__(self) -> int:
        return len(self._servers) + len(self._clients)

    # ── requests that come in ────────────────────────────────────────────────────────────

    def find(self, request: Request, method: str = "") -> ServerTransaction | None:
        """The transaction of that request, or of the one with another method on its branch."""
        return self._servers.get(_server_key(request, method or request.method))

    def take_copy(self, request: Request) -> bool:
        """Whether the request belongs to a transaction that is there, which has then seen it."""
        if request.method == "ACK":
            found = self.find(request, "INVITE")
            if found is None or (found.last is not None and found.last.is_success):
                return False
            found.take_ack()
            return True
        found = self.find(request)
        if found is None:
            return False
        found.repeat()
        return True

    def is_merged(self, request: Request) -> bool:
        """Whether the same request has come another way, through a proxy that forked it."""
        return not request.callee.tag and _merge_key(request) in self._calls

    def admit(self, request: Request, flow: Flow) -> ServerTransaction | None:
        """Begin a transaction for a new request; None where there are too many already. What
        belongs to a call isn't turned away: a flood of new ones must not keep it from ending."""
        if len(self._servers) >= MAX_TRANSACTIONS and not request.callee.tag:
            log.warning("sip_transactions_full", peer=flow.host)
            return None
        transaction = ServerTransaction(
            request,
            flow,
            self._timing,
            _WayBack(self._sockets, self._crew, request, flow),
            self._forget_server,
        )
        self._servers[_server_key(request, request.method)] = transaction
        self._calls.setdefault(_merge_key(request), transaction)
        if request.method == "INVITE":
            transaction.respond(reply(request, 100, ""))
        return transaction

    def _forget_server(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        self._servers.pop(_server_key(request, request.method), None)
        if self._calls.get(_merge_key(request)) is transaction:
            del self._calls[_merge_key(request)]

    # ── requests of ours ─────────────────────────────────────────────────────────────────

    async def send(
        self,
        request: Request,
        hop: Hop | Flow,
        on_provisional: Callable[[Response], None] | None = None,
        on_success: Callable[[Response], None] | None = None,
    ) -> ClientTransaction:
        """Begin a transaction of our own. Raises ``ConnectFailed``."""
        flow = await self.flow_to(hop)
        self.dress(request, flow)
        transaction = ClientTransaction(
            request, flow, self._timing, self._forget_client, on_provisional, on_success
        )
        self._clients[request.top_via.branch, request.method] = transaction
        transaction.start()
        return transaction

    def dress(self, request: Request, flow: Flow) -> None:
        """Put our Via on a request of ours that leaves by ``flow``."""
        branch = BRANCH_COOKIE + secrets.token_hex(12)
        address, port = self._sockets.own_address(flow)
        via = f"SIP/2.0/{flow.carrier.upper()} {write_host(address)}:{port};branch={branch};rport"
        request.headers = Headers([("Via", via), *request.headers, ("User-Agent", PRODUCT)])
        request.read_via()
        request.check()

    async def flow_to(self, hop: Hop | Flow) -> Flow:
        if isinstance(hop, Hop):
            return await self._sockets.reach(hop)
        if not hop.is_open:
            raise ConnectFailed(f"The connection with {hop.host} is closed.")
        return hop

    def send_on(self, request: Request, flow: Flow) -> None:
        """Send what belongs to another transaction's way: a CANCEL."""
        transaction = ClientTransaction(request, flow, self._timing, self._forget_client)
        self._clients[request.top_via.branch, request.method] = transaction
        transaction.start()

    def take_response(self, response: Response) -> bool:
        """Raises ``Malformed``. Whether anybody waits for it."""
        found = self._clients.get(response.transaction_key())
        if found is not None:
            found.take(response)
        return found is not None

    def _forget_client(self, transaction: ClientTransaction) -> None:
        request = transaction.request
        self._clients.pop((request.top_via.branch, request.method), None)

    def _lose(self, flow: Flow) -> None:
        """A connection is over, and so is what was asked by it (RFC 3261, 17.1.4)."""
        for transaction in list(self._clients.values()):
            if transaction.flow is flow:
                transaction.lose_way()

    def close(self) -> None:
        for transaction in (*self._servers.values(), *self._clients.values()):
            transaction.close()
        self._servers.clear()
        self._clients.clear()
        self._calls.clear()


class _WayBack:
    """Sends responses where RFC 3261 (18.2.2) and RFC 3581 say."""

    def __init__(self, sockets: Sockets, crew: Crew, request: Request, flow: Flow) -> None:
        self._sockets = sockets
        self._crew = crew
        self._flow = answer_flow(request, flow)
        self._hop = Hop(flow.carrier, flow.host, _answer_port(request, flow))

    def __call__(self, response: Response) -> None:
        data = response.encode()
        if self._flow.is_open or not self._flow.is_reliable:
            self._flow.send(data)
        else:
            self._crew.spawn(self._send_anew(data), "sip:answer")

    async def _send_anew(self, data: bytes) -> None:
        try:
            (await self._sockets.reach(self._hop)).send(data)
        except ConnectFailed as error:
            log.info("sip_answer_undeliverable", error=str(error))


def answer_flow(request: Request, flow: Flow) -> Flow:
    """Where the answer to a request that came by ``flow`` goes: never to anybody else's host."""
    if isinstance(flow, UdpFlow):
        return UdpFlow(flow.wire, flow.host, _answer_port(request, flow))
    return flow


def _answer_port(request: Request, flow: Flow) -> int:
    via = request.top_via
    if flow.carrier == "udp" and "rport" in via.parameters:
        return flow.port
    return via.port or USUAL_PORT[flow.carrier]


def note_source(request: Request, flow: Flow) -> None:
    """Read and stamp the request's Via. Raises ``Malformed``."""
    request.read_via()
    stamp(request, flow)


def _server_key(request: Request, method: str) -> tuple[str, ...]:
    via = request.top_via
    # ``received`` is of our own making: a stranger's message is never taken for a copy.
    place = f"{via.host.lower()}:{via.port} {via.parameters.get('received', '')}"
    if via.branch.startswith(BRANCH_COOKIE):
        return via.branch, place, method
    # RFC 2543 had no branches to go by.
    return (via.branch, place, request.caller.tag, request.call_id, str(request.cseq), method)


def _merge_key(request: Request) -> tuple[str, str, int, str]:
    return request.call_id, request.caller.tag, request.cseq, request.method
