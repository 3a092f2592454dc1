"""What both sides of a call have agreed to call it, and the way that its requests take."""

from __future__ import annotations

import ipaddress
import random
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from parley.transports.sip.addresses import Address, Hop, SipUri, UnknownScheme
from parley.transports.sip.grammar import Malformed
from parley.transports.sip.message import Headers, Request, Response
from parley.transports.sip.sockets import Flow

MAX_FORWARDS = ("Max-Forwards", "70")

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, their tag."""


def new_tag() -> str:
    return secrets.token_hex(8)


def new_call_id() -> str:
    return secrets.token_hex(16)


@dataclass
class Dialog:
    """RFC 3261, 12. ``local`` and ``remote`` are whole From or To values, tags and all.

    ``flow`` is the way to a peer that can't be reached by what it says of itself: a telephone
    behind a NAT, or at the other end of the connection that it opened. ``source`` is where its last
    word on that came from, for where nothing else leads to it. ``is_ours``: we made the call.
    """

    call_id: str
    local: str
    remote: str
    target: str
    contact: str
    route: tuple[str, ...] = ()
    local_seq: int = 0
    remote_seq: int | None = None
    flow: Flow | None = None
    source: Flow | None = None
    is_ours: bool = False
    proofs: tuple[tuple[str, str], ...] = ()
    """What the last INVITE of ours proved who we are with: its ACK does so, too (22.1)."""
    local_tag: str = field(init=False)
    remote_tag: str = field(init=False)

    def __post_init__(self) -> None:
        self.local_tag = Address.read(self.local).tag
        self.remote_tag = Address.read(self.remote).tag

    @classmethod
    def of_caller(cls, invite: Request, tag: str, contact: str, flow: Flow) -> Dialog:
        """Our side of a call that comes in. Raises ``Malformed``."""
        target = contact_of(invite)
        route = tuple(invite.headers.listed("record-route"))
        for each in route:
            Address.read(each)
        to = invite.headers.first("to")
        return cls(
            call_id=invite.call_id,
            local=to if invite.callee.tag else f"{to};tag={tag}",
            remote=invite.headers.first("from"),
            target=target.text,
            contact=contact,
            route=route,
            remote_seq=invite.cseq,
            flow=_flow_back(invite, target, route, flow),
            source=flow,
        )

    @classmethod
    def of_callee(cls, invite: Request, answer: Response, contact: str, flow: Flow) -> Dialog:
        """Our side of a call that goes out, by an answer to it.

        An answer that doesn't say where it comes from is answered where the call went.
        """
        route = tuple(reversed(answer.headers.listed("record-route")))
        try:
            target = contact_of(answer)
            for each in route:
                Address.read(each)
        except Malformed:
            target, route = SipUri.read(invite.uri), ()
        is_direct = not route and flow.is_reliable
        return cls(
            call_id=invite.call_id,
            local=invite.headers.first("from"),
            remote=answer.headers.first("to"),
            target=target.text,
            contact=contact,
            route=route,
            local_seq=invite.cseq,
            flow=flow if is_direct else None,
            is_ours=True,
            proofs=_proofs_in(invite.headers),
        )

    @property
    def key(self) -> DialogKey:
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def way(self) -> Hop | Flow:
        """Where this dialog's requests are sent. Raises ``Malformed``."""
        if self.flow is not None and self.flow.is_open:
            return self.flow
        if self.route:
            return Address.read(self.route[0]).uri.hop
        return SipUri.read(self.target).hop

    def request(
        self,
        method: str,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        seq: int | None = None,
    ) -> Request:
        """The next request within the dialog; ACK takes the number of the INVITE that it is for."""
        if seq is None:
            self.local_seq += 1
            seq = self.local_seq
        extra = [*extra, *(self.proofs if method == "ACK" else ())]
        if method == "INVITE":
            self.proofs = _proofs_in(extra)
        uri, routes = self._way()
        lines = [
            *(("Route", route) for route in routes),
            MAX_FORWARDS,
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{seq} {method}"),
            ("Contact", self.contact),
            *extra,
        ]
        return Request(Headers(lines), body, method, uri)

    def _way(self) -> tuple[str, tuple[str, ...]]:
        """Request-URI and Route; an old proxy wants to be the former (12.2.1.1)."""
        if not self.route:
            return self.target, ()
        first = Address.read(self.route[0])
        if "lr" in first.uri.parameters:
            return self.target, self.route
        return first.uri.text, (*self.route[1:], f"<{self.target}>")

    def collision_pause_s(self, t1_s: float) -> float:
        """Both sides wanted a change at the same moment: who made the call waits for longer, so
        that they don't meet again (14.1)."""
        shortest, longest = (4.2, 8.0) if self.is_ours else (0.0, 4.0)
        return random.uniform(shortest, longest) * t1_s

    def is_next(self, request: Request) -> bool:
        """Whether the request is newer than the last, and it is the last from now on."""
        if self.remote_seq is not None and request.cseq <= self.remote_seq:
            return False
        self.remote_seq = request.cseq
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take over where the far side says that it is now (12.2.1.2)."""
        if message.headers.all("contact"):
            self.target = contact_of(message).text

    def follow(self, change: Request, flow: Flow) -> None:
        """The same for a change that came by ``flow``: who has moved is behind another NAT, or at
        the end of another connection."""
        self.refresh_target(change)
        self.source = flow
        self.flow = _flow_back(change, SipUri.read(self.target), self.route, flow)


def _proofs_in(lines: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    names = ("authorization", "proxy-authorization")
    return tuple((name, value) for name, value in lines if name.lower() in names)


def contact_of(message: Request | Response) -> SipUri:
    """The one Contact. Raises ``Malformed``."""
    contacts = message.headers.listed("contact")
    if len(contacts) != 1:
        raise Malformed(f"there are {len(contacts)} contacts")
    uri = Address.read(contacts[0]).uri
    if uri.scheme == "tel":
        raise UnknownScheme("a contact must be a SIP URI")
    return uri


def _flow_back(invite: Request, target: SipUri, route: tuple[str, ...], flow: Flow) -> Flow | None:
    """The caller's own way in, where it is the only one back."""
    if route or len(invite.headers.listed("via")) > 1:
        return None
    if flow.is_reliable:
        return flow
    try:
        is_elsewhere = ipaddress.ip_address(target.host) != ipaddress.ip_address(flow.host)
    except ValueError:
        return None
    return flow if is_elsewhere else None
