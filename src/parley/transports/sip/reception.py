"""What becomes of each message: whose it is, and what strangers are told."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import partial

from parley.core.errors import UnsupportedMedia
from parley.core.log import get_logger
from parley.transports.sip.addresses import SipUri, UnknownScheme
from parley.transports.sip.door import Door, Pass, Turned
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.line import InDialog, Line
from parley.transports.sip.message import SIP, Request, Response, body_length, read_datagram
from parley.transports.sip.replies import (
    ACCEPT,
    ALLOW,
    METHODS,
    UNSERVED,
    Lines,
    reason_line,
    reply,
    retry_line,
)
from parley.transports.sip.server_transaction import ServerTransaction
from parley.transports.sip.sockets import Flow
from parley.transports.sip.transactions import answer_flow, note_source

log = get_logger(__name__)

RETRY_AFTER_S = 5
MAX_STRANGERS = 1000
UNSERVED_WHY = {"REGISTER": "nobody registers here: call without"}


class Refusal(Exception):
    """A request is answered at once and forgotten: nothing is kept of it."""

    def __init__(self, status: int, lines: Lines = (), why: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.lines = [*lines, *reason_line(status, why)]


class Reception:
    """Takes every message. Those of calls go to them; a new call goes to ``new_call``."""

    def __init__(self, door: Door, new_call: Callable[[IncomingInvite], None]) -> None:
        self._door = door
        self._new_call = new_call
        self._line: Line | None = None
        self._seal = secrets.token_bytes(16)
        self._strangers: set[str] = set()
        self.is_draining = False

    def attach(self, line: Line) -> None:
        self._line = line

    @property
    def line(self) -> Line:
        assert self._line is not None, "the endpoint is not open"
        return self._line

    # ── from the sockets ─────────────────────────────────────────────────────────────────

    def take_datagram(self, data: bytes, flow: Flow) -> None:
        data = data.lstrip(b"\r\n")
        if not data:
            return
        try:
            message = read_datagram(data, self.line.options.max_head_bytes)
        except Malformed as error:
            log.debug("sip_unreadable", peer=flow.host, why=str(error))
            return
        self.take_message(message, flow)

    def take_message(self, message: Request | Response, flow: Flow) -> None:
        try:
            if isinstance(message, Response):
                self.line.transactions.take_response(message)
            else:
                note_source(message, flow)
                self._take_request(message, flow)
        except Malformed as error:
            log.debug("sip_unreadable", peer=flow.host, why=str(error))

    def _take_request(self, request: Request, flow: Flow) -> None:
        try:
            self._check(request)
            if request.method == "ACK":
                self._take_ack(request)
            elif not self.line.transactions.take_copy(request):
                self._take_new(request, flow)
        except Refusal as refusal:
            self._refuse(request, flow, refusal)
        except Malformed as error:
            self._refuse(request, flow, Refusal(400, (), str(error)))

    def _check(self, request: Request) -> None:
        """What holds for every request, whoever sends it."""
        if request.version != SIP:
            raise Refusal(505)
        request.check()
        length = body_length(request)
        if length is None:
            return
        if length > len(request.body):
            raise Malformed("the body is shorter than announced")
        request.body = request.body[:length]

    def _take_ack(self, ack: Request) -> None:
        if self.line.transactions.take_copy(ack):
            return
        found = self._find(ack)
        if found is not None:
            found.take_ack(ack)

    def _find(self, request: Request) -> InDialog | None:
        """The call that a request with a To tag belongs to."""
        key = request.call_id, request.callee.tag, request.caller.tag
        return self.line.dialogs.get(key)

    def _take_new(self, request: Request, flow: Flow) -> None:
        found = self._find(request) if request.callee.tag else None
        if found is None and not self._door.knows(flow.host):
            self._note_stranger(flow.host, request.method)
            raise Refusal(403, (), "this address may not call")
        if request.method == "CANCEL":
            self._take_cancel(request, flow)
            return
        self._require_known(request)
        if found is not None:
            self._admit(request, flow, found.take)
        elif request.callee.tag:
            raise Refusal(481)
        elif self.line.transactions.is_merged(request):
            raise Refusal(482)
        else:
            self._take_first(request, flow)

    def _note_stranger(self, host: str, method: str) -> None:
        """Log each once: scanners knock at every door, all day long."""
        if host not in self._strangers and len(self._strangers) < MAX_STRANGERS:
            self._strangers.add(host)
            log.info("sip_stranger_refused", peer=host, method=method)

    def _take_cancel(self, request: Request, flow: Flow) -> None:
        invite = self.line.transactions.find(request, "INVITE")
        if invite is None:
            raise Refusal(481)
        self._admit(request, flow, self._agree)
        if isinstance(invite.owner, IncomingInvite):
            invite.owner.give_up("cancelled")

    def _agree(self, transaction: ServerTransaction) -> None:
        transaction.respond(reply(transaction.request, 200, self._tag(transaction.request)))

    def _require_known(self, request: Request) -> None:
        """Refuse methods and extensions that we don't have."""
        if request.method in UNSERVED:
            raise Refusal(405, [ALLOW], UNSERVED_WHY.get(request.method, ""))
        if request.method not in METHODS:
            raise Refusal(501, [ALLOW])
        required = request.headers.listed("require")
        if required:
            raise Refusal(420, [("Unsupported", ", ".join(required))])

    # ── what belongs to no call yet ──────────────────────────────────────────────────────

    def _take_first(self, request: Request, flow: Flow) -> None:
        _require_uri(request)
        if request.method == "OPTIONS":
            if self.is_draining:
                raise Refusal(503, retry_line(RETRY_AFTER_S), "going down")
            raise Refusal(200, [("Contact", self.line.contact(flow)), ALLOW, ACCEPT])
        if request.method != "INVITE":
            raise Refusal(481)
        leave = self._door.admit(request, flow.host)
        if isinstance(leave, Turned):
            log.info("sip_call_turned_away", peer=flow.host, status=leave.status, why=leave.why)
            raise Refusal(leave.status, leave.headers, leave.why)
        if self.is_draining:
            raise Refusal(503, retry_line(RETRY_AFTER_S), "going down")
        self._check_invite(request)
        self._admit(request, flow, partial(self._usher, leave))

    def _check_invite(self, request: Request) -> None:
        if not request.caller.tag and not request.top_via.branch:
            raise Malformed("neither From nor Via tells this call from others")

    def _usher(self, leave: Pass, transaction: ServerTransaction) -> None:
        """Make a call of an INVITE that may come in."""
        request = transaction.request
        tag = self._tag(request)
        try:
            invite = IncomingInvite(self.line, transaction, leave)
        except UnsupportedMedia:
            transaction.respond(reply(request, 415, tag, [ACCEPT]))
        except Malformed as error:
            transaction.respond(reply(request, 400, tag, reason_line(400, str(error))))
        else:
            self._new_call(invite)

    # ── answers ──────────────────────────────────────────────────────────────────────────

    def _admit(
        self, request: Request, flow: Flow, take: Callable[[ServerTransaction], None]
    ) -> None:
        transaction = self.line.transactions.admit(request, flow)
        if transaction is not None:
            take(transaction)

    def _refuse(self, request: Request, flow: Flow, refusal: Refusal) -> None:
        if request.method == "ACK" or not _can_be_answered(request):
            return
        tag = self._tag(request)
        response = reply(request, refusal.status, tag, refusal.lines)
        answer_flow(request, flow).send(response.encode())

    def _tag(self, request: Request) -> str:
        """A To tag that is the same for every copy of the request, with nothing to remember."""
        text = f"{request.call_id} {request.top_via.branch}".encode("utf-8", "surrogateescape")
        return hashlib.blake2s(text, key=self._seal, digest_size=8).hexdigest()


def _require_uri(request: Request) -> None:
    try:
        SipUri.read(request.uri)
    except UnknownScheme as error:
        raise Refusal(416) from error


def _can_be_answered(request: Request) -> bool:
    return all(request.headers.first(name) for name in ("from", "to", "call-id", "cseq"))
