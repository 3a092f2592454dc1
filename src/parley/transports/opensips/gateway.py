"""OpenSIPS as the telephone: it does the signalling, an agent answers, sound comes here."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import OrderedDict
from types import TracebackType

from parley.core.errors import BadSettings, CallNotLive, UnsupportedMedia
from parley.core.log import get_logger
from parley.engines.spec import Status
from parley.transports.opensips.call import UaCall
from parley.transports.opensips.events import EventSocket, UaEvent
from parley.transports.opensips.interface import ManagementInterface
from parley.transports.opensips.invite import UaInvite
from parley.transports.opensips.options import ANYWHERE, OpenSipsOptions
from parley.transports.opensips.session import UaSession
from parley.transports.opensips.subscription import Subscription
from parley.transports.rate import Rate
from parley.transports.sip.addresses import write_host
from parley.transports.sip.attendant import Attendant, Host
from parley.transports.sip.crew import Crew
from parley.transports.sip.families import address_towards
from parley.transports.sip.ringing import Ringing
from parley.transports.sip.rtp.line import LineListener, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.webrtc.peers import open_libopus
from parley.transports.wheel import Wheel

log = get_logger(__name__)

MAX_ENDED = 1000


class OpenSips:
    """Use it as an async context manager; leaving it hangs up what is still going.

    OpenSIPS need not be there yet: it is waited for, and ``status`` says how it stands. ``wheel``
    is the process's: there is one for all calls.
    """

    def __init__(self, options: OpenSipsOptions, host: Host, wheel: Wheel) -> None:
        """Raises ``BadSettings``."""
        patience = options.patience
        self._options = options
        self._interface = ManagementInterface(
            options.mi_host, options.mi_port, answer_s=patience.answer_s, tries=patience.tries
        )
        self._events = EventSocket(self._take, self._knows)
        self._holders: dict[str, UaInvite | UaCall] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._crew = Crew()
        self._rate = Rate(options.calls_per_s, time.monotonic)
        self._ports = PortRange(options.rtp_host, *options.rtp_ports)
        self._wheel = wheel
        self._libopus = open_libopus()
        self._attendant = Attendant(host, self._new_line, transport="opensips", rules=options.rules)
        self.subscription = Subscription(
            self._interface, self._event_address, self._holders, patience
        )

    @property
    def live_calls(self) -> int:
        """Calls that hold a line."""
        return len(self._attendant.open)

    @property
    def sessions(self) -> int:
        """OpenSIPS's sessions that somebody here has."""
        return len(self._holders)

    @property
    def place(self) -> str:
        """Where OpenSIPS's management interface is, for people."""
        return self._interface.place

    @property
    def events_port(self) -> int:
        return self._events.address[1]

    def status(self) -> Status:
        """How it stands, for ``/health``."""
        return self.subscription.status()

    async def __aenter__(self) -> OpenSips:
        """Raises ``BadSettings`` where events can't be listened for, or sound."""
        options = self._options
        _require_own("RTP_BIND_IP", options.rtp_host)
        host = options.event_host or address_towards(options.mi_host) or ANYWHERE
        await self._events.open(host, options.event_port)
        self._crew.spawn(self.subscription.keep(), "opensips:subscription")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            async with asyncio.timeout(self._options.patience.closing_s):
                await self.subscription.stop()
                await self._say_goodbye()
        except TimeoutError:
            log.info("opensips_closed_unheard")
        finally:
            await self._crew.close()
            self._interface.close()
            self._events.close()

    async def _say_goodbye(self) -> None:
        await asyncio.gather(*(media.hang_up("drain") for media in list(self._attendant.open)))
        await asyncio.gather(*(holder.bye("going down") for holder in list(self._holders.values())))

    # ── events ───────────────────────────────────────────────────────────────────────────

    def _event_address(self) -> str:
        """Where events come to, as OpenSIPS can reach it."""
        host, port = self._events.address
        if ipaddress.ip_address(host).is_unspecified:
            host = self._interface.own_host
        return f"{write_host(host)}:{port}"

    def _knows(self, host: str) -> bool:
        interface = self._interface
        if host in (interface.far_host, interface.own_host, self._events.address[0]):
            return True
        address = ipaddress.ip_address(host.partition("%")[0])
        return address.is_loopback or any(address in friend for friend in self._options.friends)

    def _take(self, event: UaEvent) -> None:
        holder = self._holders.get(event.key)
        if holder is not None:
            if event.kind != "NEW":
                holder.take(event)
        elif event.kind == "NEW" and event.method == "INVITE":
            if event.key not in self._ended:
                self._welcome(event)
        elif event.kind == "TERMINATED":
            self._take_foreign_end(event)

    def _take_foreign_end(self, event: UaEvent) -> None:
        """The end of a call that was never told of, or is told of only now: OpenSIPS's processes
        overtake each other."""
        self._ended[event.key] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        if event.method == "CANCEL":
            session = UaSession(self._interface, event.key)
            self._crew.spawn(session.refuse(487), "opensips:cancelled")

    def _welcome(self, event: UaEvent) -> None:
        session = UaSession(self._interface, event.key)
        source = self._interface.far_host, self._options.mi_port
        try:
            invite = UaInvite(
                event, session, self._crew, self._options.patience, source, self._holders
            )
        except UnsupportedMedia:
            self._crew.spawn(session.refuse(415), "opensips:refuse")
            return
        if not invite.offer and invite.headers.get("content-length", "0").strip("0"):
            log.error(
                "opensips_keeps_the_sdp",
                hint='ua_session_server_init needs "b" among its flags: "arhb".',
            )
            invite.reject(500, "the description was not passed on")
        elif not self._rate.take():
            invite.reject(503, "too many calls at once", 1)
        else:
            self._crew.spawn(self._take_call(invite), f"opensips:{event.key}")

    async def _take_call(self, invite: UaInvite) -> None:
        try:
            await self._attendant.take(invite)
        except CallNotLive as error:
            log.info("opensips_caller_gone", caller=invite.caller, why=error.message)
        finally:
            # Nobody is left to wait for an answer that will not come.
            invite.reject(500)

    # ── sound ────────────────────────────────────────────────────────────────────────────

    def _new_line(self, invite: Ringing, listener: LineListener) -> PhoneLine:
        options = self._options
        is_anywhere = ipaddress.ip_address(options.rtp_host).is_unspecified
        host = options.rtp_public_host or ("" if is_anywhere else options.rtp_host)
        return PhoneLine(
            options.line,
            self._ports,
            self._wheel,
            listener,
            host=host or invite.own_host,
            libopus=self._libopus,
        )


def _require_own(name: str, host: str) -> None:
    """Refuse an address that nothing can be listened for on. Raises ``BadSettings``."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError) as error:
        raise BadSettings(
            f"{name}={host} can't be listened on: {error}.",
            hint="It is an address of this machine, or 0.0.0.0.",
        ) from error
