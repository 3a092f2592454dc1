"""The telephone: what rings here is answered by an agent."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Protocol

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.core.errors import CallNotLive, ParleyError
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.session.host import Place
from parley.session.media import CallMedia
from parley.settings import Settings
from parley.transports.sip.addresses import write_uri
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.options import SipOptions
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU
from parley.transports.sip.rtp.line import LineListener, LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.sip.rtp.wheel import Wheel
from parley.transports.sip.who_answers import agent_for, caller_of, refuse
from parley.transports.webrtc.opus import Libopus

log = get_logger(__name__)

# What our own Contact says: a PBX that we registered with calls us by it.
OWN_NAME = "parley"


class Host(Protocol):
    """What the telephone needs of the session: ``SessionHost`` is one."""

    def agent(self, name: str, tenant: str) -> Agent: ...

    def admit(self, call: CallInfo) -> Place: ...

    def start(self, place: Place, media: CallMedia) -> SessionControl: ...


@dataclass(frozen=True)
class TelephoneOptions:
    """``rtp_ports`` are the first and the last port for sound, both included."""

    sip: SipOptions = field(default_factory=SipOptions)
    line: LineOptions = field(default_factory=LineOptions)
    rtp_ports: tuple[int, int] = (10_000, 20_000)

    @classmethod
    def from_settings(cls, settings: Settings) -> TelephoneOptions:
        """Raises ``BadSettings``."""
        return cls(
            sip=SipOptions.from_settings(settings),
            line=LineOptions(codecs=(OPUS, G722, PCMU, PCMA)),
            rtp_ports=(settings.rtp_min_port, settings.rtp_max_port),
        )


class Telephone:
    """Use it as an async context manager; leaving it hangs up what is still going."""

    def __init__(self, options: TelephoneOptions, host: Host) -> None:
        """Raises ``BadSettings``."""
        self._options = options
        self._host = host
        self._own_names = frozenset({OWN_NAME, options.sip.account.username} - {""})
        self._ports = PortRange(options.sip.host or "0.0.0.0", *options.rtp_ports)
        self._wheel = Wheel()
        self._libopus = _libopus()
        self._open: set[PhoneMedia] = set()
        self._stack = AsyncExitStack()
        self.endpoint = SipEndpoint(options.sip, self._take_call)

    @property
    def live_calls(self) -> int:
        """Calls that hold a line."""
        return len(self._open)

    @property
    def address(self) -> str:
        """Where telephones reach us, as a URI."""
        sip = self._options.sip
        return write_uri("", sip.public_host or sip.host or "0.0.0.0", self.endpoint.port)

    async def __aenter__(self) -> Telephone:
        """Raises ``BadSettings`` where an address can't be listened on."""
        self._stack.callback(self._wheel.close)
        await self._stack.enter_async_context(self.endpoint)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def drain(self) -> None:
        """Take no new calls."""
        self.endpoint.drain()

    async def _take_call(self, invite: IncomingInvite) -> None:
        try:
            place = self._host.admit(self._call_of(invite))
            try:
                await place.reserve()
                invite.ring()
                media = await self._answer(invite, place.call.id)
            except BaseException:
                place.release()
                raise
        except CallNotLive:
            raise
        except ParleyError as error:
            log.info("sip_call_refused", peer=invite.source[0], code=error.code, why=str(error))
            refuse(invite, error)
            return
        self._host.start(place, media)

    def _call_of(self, invite: IncomingInvite) -> CallInfo:
        """Raises ``NotFound``."""
        agent = agent_for(invite, self._host, self._own_names)
        return CallInfo(agent=agent, transport="sip", caller=caller_of(invite))

    async def _answer(self, invite: IncomingInvite, call_id: str) -> PhoneMedia:
        """Take the call; return when it has been acknowledged and both sides can be heard."""
        media = PhoneMedia(call_id, partial(self._new_line, invite), self._open.discard)
        self._open.add(media)
        try:
            ours = media.line.answer(invite.offer) if invite.offer else media.line.offer()
            call = await invite.answer(ours, media.take_over)
            if not invite.offer:
                media.line.accept(call.remote_sdp)
        except BaseException:
            await media.hang_up("error")
            raise
        return media

    def _new_line(self, invite: IncomingInvite, listener: LineListener) -> PhoneLine:
        options = self._options.line
        if invite.carrier == "tls":
            # Its keys travel in the description, so they are secret here and nowhere else.
            options = replace(options, secrecy="allowed")
        return PhoneLine(
            options,
            self._ports,
            self._wheel,
            listener,
            host=invite.own_host,
            libopus=self._libopus,
        )


def _libopus() -> Libopus | None:
    """Opus where the library is installed; all other codecs need nothing."""
    try:
        return Libopus()
    except OSError:
        return None
