"""The telephone: a SIP endpoint that takes calls and makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from urllib.parse import quote

from parley.core.errors import BadSettings, CallNotLive, InvalidValue
from parley.core.log import get_logger
from parley.transports.sip.addresses import Hop, SipUri, write_host
from parley.transports.sip.call import SipDialog
from parley.transports.sip.crew import Crew
from parley.transports.sip.door import Door
from parley.transports.sip.grammar import Malformed, is_token, printable
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.line import Line
from parley.transports.sip.options import SipOptions
from parley.transports.sip.outgoing import Dialling, OutgoingCall
from parley.transports.sip.reception import Reception
from parley.transports.sip.registration import Registration, address_of_record
from parley.transports.sip.sockets import Sockets
from parley.transports.sip.timing import Timing
from parley.transports.sip.transactions import Transactions

log = get_logger(__name__)

OnInvite = Callable[[IncomingInvite], Awaitable[None]]


class SipEndpoint:
    """Use it as an async context manager; leaving it hangs up what is still going.

    ``on_invite`` runs in a task of its own for each call that comes in, and answers or rejects it.
    """

    def __init__(self, options: SipOptions, on_invite: OnInvite) -> None:
        self._options = options
        self._on_invite = on_invite
        self._door = Door(options)
        self._reception = Reception(self._door, self._welcome)
        self._sockets = Sockets(
            options, self._reception.take_datagram, self._reception.take_message
        )
        self._crew = Crew()
        self._line: Line | None = None
        self._outgoing: set[OutgoingCall] = set()
        self.registration: Registration | None = None

    @property
    def port(self) -> int:
        """Where UDP and TCP are listened on."""
        return self._sockets.port

    @property
    def tls_port(self) -> int:
        """Where TLS is listened on; 0 without a certificate."""
        return self._sockets.tls_port

    @property
    def line(self) -> Line:
        assert self._line is not None, "the endpoint is not open"
        return self._line

    @property
    def live_calls(self) -> int:
        """Calls that are going, ringing ones included."""
        return len(self.line.dialogs)

    async def __aenter__(self) -> SipEndpoint:
        """Raises ``BadSettings`` where an address can't be listened on."""
        timing = Timing(self._options.t1_s)
        transactions = Transactions(self._sockets, timing, self._crew)
        self._line = Line(self._options, timing, self._sockets, transactions, self._crew)
        self._reception.attach(self._line)
        try:
            await self._sockets.open()
        except OSError as error:
            await self._sockets.close()
            raise BadSettings(
                f"SIP can't listen on {write_host(self._options.host)}:{self._options.port}: "
                f"{error}.",
                hint="Another program may have the port: set PARLEY_SIP_PORT or PARLEY_SIP_HOST.",
            ) from error
        if self._options.account.registrar:
            self.registration = Registration(self._line, self._door)
            self._crew.spawn(self.registration.keep(), "sip:registration")
        log.info("sip_listening", host=self._options.host, port=self.port, tls=self.tls_port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drain()
        try:
            async with asyncio.timeout(self._options.closing_s):
                await self._say_goodbye()
        except TimeoutError:
            log.info("sip_closed_unheard")
        finally:
            await self._crew.close()
            self.line.transactions.close()
            self.line.dialogs.clear()
            await self._sockets.close()

    async def _say_goodbye(self) -> None:
        for call in list(self._outgoing):
            call.cancel()
        closing = [each.close() for each in list(self.line.dialogs.values())]
        if self.registration is not None:
            closing.append(self.registration.stop())
        await asyncio.gather(*closing)

    def drain(self) -> None:
        """Take no new calls; proxies that ask for our health are told to go elsewhere."""
        self._reception.is_draining = True

    # ── calls that come in ───────────────────────────────────────────────────────────────

    def _welcome(self, invite: IncomingInvite) -> None:
        self._crew.spawn(self._take_call(invite), f"sip:{printable(invite.call_id)}")

    async def _take_call(self, invite: IncomingInvite) -> None:
        try:
            await self._on_invite(invite)
        except CallNotLive as error:
            log.info("sip_caller_gone", peer=invite.source[0], why=error.message)
        finally:
            # Nobody is left to wait for an answer that will not come.
            if not invite.is_answered:
                invite.reject(500)

    # ── calls that go out ────────────────────────────────────────────────────────────────

    def call(
        self,
        target: str,
        sdp: str,
        *,
        caller: str = "",
        caller_name: str = "",
        headers: Iterable[tuple[str, str]] = (),
        ring_limit_s: float = 60.0,
        prepare: Callable[[SipDialog], None] | None = None,
    ) -> OutgoingCall:
        """Call somebody: ``dialling`` and ``place_call`` in one."""
        dialling = self.dialling(
            target,
            caller=caller,
            caller_name=caller_name,
            headers=headers,
            ring_limit_s=ring_limit_s,
        )
        return self.place_call(dialling, sdp, prepare)

    def dialling(
        self,
        target: str,
        *,
        caller: str = "",
        caller_name: str = "",
        headers: Iterable[tuple[str, str]] = (),
        ring_limit_s: float = 60.0,
    ) -> Dialling:
        """How somebody is called. ``target`` is a SIP or tel URI; ``caller`` is who we say that we
        are. Raises ``InvalidValue``."""
        uri = self._target(target)
        proxy = self._options.proxy
        return Dialling(
            target=uri.text,
            hop=SipUri.read(proxy).hop if proxy else uri.hop,
            caller=self._caller(caller),
            caller_name=caller_name,
            headers=tuple(map(_checked, headers)),
            routes=(_loose_route(proxy),) if proxy else (),
            ring_limit_s=ring_limit_s,
        )

    def place_call(
        self,
        dialling: Dialling,
        sdp: str,
        prepare: Callable[[SipDialog], None] | None = None,
        reoffer: Callable[[], str] | None = None,
    ) -> OutgoingCall:
        """Call. ``prepare`` gets the call that comes of it, before anybody can say anything in
        it; ``reoffer`` makes another description for those who can't take the first."""
        call = OutgoingCall(self.line, dialling, sdp, prepare, reoffer)
        self._outgoing.add(call)
        task = self._crew.spawn(call.run(), f"sip:{call.call_id}")
        task.add_done_callback(lambda _: self._outgoing.discard(call))
        return call

    def _target(self, text: str) -> SipUri:
        try:
            uri = SipUri.read(text)
            if uri.scheme == "tel":
                uri = SipUri.read(self._as_sip(uri))
            uri.hop  # noqa: B018
        except Malformed as error:
            raise InvalidValue(
                f"{printable(text)[:80]!r} can't be called: {error}.",
                hint="Name a target like sip:100@pbx.example.org.",
                param="target",
            ) from error
        # Headers of a URI would be ours to obey; nobody gets to write our INVITEs.
        return SipUri.read(uri.text.partition("?")[0])

    def _as_sip(self, number: SipUri) -> str:
        """A telephone number, at the PBX that knows what to do with it."""
        gateway = self._options.proxy or self._options.account.registrar
        if not gateway:
            raise Malformed("a number needs a PBX (PARLEY_SIP_PROXY or PARLEY_SIP_REGISTRAR)")
        at = SipUri.read(gateway)
        port = f":{at.port}" if at.port else ""
        return (
            f"{at.scheme}:{quote(number.user, safe='+*#')}@{write_host(at.host)}{port};user=phone"
        )

    def _caller(self, wanted: str) -> str:
        account = self._options.account
        try:
            if wanted:
                return SipUri.read(wanted).text
        except Malformed as error:
            raise InvalidValue(
                f"{printable(wanted)[:80]!r} is nobody to call as: {error}.", param="caller"
            ) from error
        gateway = account.registrar or (self._options.proxy if account.username else "")
        if gateway:
            return address_of_record(SipUri.read(gateway), account.username)
        return f"sip:parley@{write_host(self.usual_host)}"

    @property
    def usual_host(self) -> str:
        """What we call ourselves where nothing is known of who will hear it."""
        return self._options.public_host or self._options.host

    async def own_host_towards(self, hop: Hop) -> str:
        """The address that a peer may know us by. Raises ``ConnectFailed``."""
        flow = await self.line.transactions.flow_to(hop)
        return self.line.sockets.own_address(flow)[0]


def _loose_route(proxy: str) -> str:
    is_loose = "lr" in SipUri.read(proxy).parameters
    return f"<{proxy}>" if is_loose else f"<{proxy};lr>"


def _checked(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    if not is_token(name) or not value.isprintable():
        raise InvalidValue(f"{printable(name)[:40]!r} can't be a header.", param="headers")
    return header
