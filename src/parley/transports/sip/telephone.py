"""The telephone: what rings here is answered by an agent."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol

from parley.core.call import CallInfo
from parley.core.errors import IncompatibleOffer
from parley.session.dialling import Dial
from parley.settings import Settings
from parley.settings.agent_rules import AgentRule
from parley.transports.sip.addresses import Carrier, write_uri
from parley.transports.sip.agreement import Secrecy
from parley.transports.sip.attendant import Attendant, Host
from parley.transports.sip.dialler import Dialler, OutHost
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.families import ANYWHERE, sound_host
from parley.transports.sip.options import SipOptions
from parley.transports.sip.ringing import Ringing
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU
from parley.transports.sip.rtp.line import LineListener, LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.sip.sound_places import SoundPlaces
from parley.transports.webrtc.opus import Libopus
from parley.transports.wheel import Wheel

# What our own Contact says: a PBX that we registered with calls us by it.
OWN_NAME = "parley"


class TelephoneHost(OutHost, Host, Protocol):
    """What calls in both directions need of the session."""


@dataclass(frozen=True)
class TelephoneOptions:
    """``rtp_ports`` are the first and the last port for sound, both included. Sound is taken at
    ``rtp_host`` and sent to ``rtp_public_host``; "" means as SIP does. ``secrecy`` is for calls
    over TLS: others are never encrypted, and where it is ``required`` there are none."""

    sip: SipOptions = field(default_factory=SipOptions)
    line: LineOptions = field(default_factory=LineOptions)
    rtp_ports: tuple[int, int] = (10_000, 20_000)
    rtp_host: str = ""
    rtp_public_host: str = ""
    rules: tuple[AgentRule, ...] = ()
    secrecy: Secrecy = "allowed"

    @classmethod
    def from_settings(cls, settings: Settings) -> TelephoneOptions:
        """Raises ``BadSettings``."""
        return cls(
            sip=SipOptions.from_settings(settings),
            line=LineOptions(codecs=(OPUS, G722, PCMU, PCMA)),
            rtp_ports=settings.rtp_range,
            rtp_host=settings.rtp_bind_ip,
            rtp_public_host=settings.rtp_ip,
            rules=settings.sip_agents,
            secrecy=settings.sip_srtp,
        )


class Telephone:
    """Use it as an async context manager; leaving it hangs up what is still going. ``wheel`` is
    the process's: there is one for all calls."""

    def __init__(self, options: TelephoneOptions, host: TelephoneHost, wheel: Wheel) -> None:
        """Raises ``BadSettings``."""
        self._options = options
        self._places = SoundPlaces(
            options.rtp_host or options.sip.host, options.rtp_public_host, *options.rtp_ports
        )
        self._wheel = wheel
        self._libopus = _libopus()
        self._attendant = Attendant(
            host,
            self._new_line,
            transport="sip",
            own_names=frozenset({OWN_NAME, options.sip.account.username} - {""}),
            rules=options.rules,
        )
        self._stack = AsyncExitStack()
        self.endpoint = SipEndpoint(options.sip, self._attendant.take)
        self._dialler = Dialler(
            host, self.endpoint, self._line_towards, self._attendant.open, options.secrecy
        )

    @property
    def live_calls(self) -> int:
        """Calls that hold a line."""
        return len(self._attendant.open)

    @property
    def address(self) -> str:
        """Where telephones reach us, as a URI."""
        sip = self._options.sip
        # Nobody can dial "everywhere"; from this machine it is here.
        own = "localhost" if sip.host in ANYWHERE else sip.host
        return write_uri("", sip.public_host or own, self.endpoint.port)

    async def __aenter__(self) -> Telephone:
        """Raises ``BadSettings`` where an address can't be listened on."""
        await self._stack.enter_async_context(self.endpoint)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whoever speaks into a line that nobody serves any more would wait for its turn in vain.
        leaving = asyncio.gather(
            *(media.hang_up("drain") for media in list(self._attendant.open)),
            return_exceptions=True,
        )
        try:
            await self._stack.aclose()
        finally:
            await leaving

    def drain(self) -> None:
        """Take no new calls."""
        self.endpoint.drain()

    async def dial(self, wish: Dial) -> CallInfo:
        """Begin to call somebody, as ``Dialler.dial`` does."""
        return await self._dialler.dial(wish)

    def _line_towards(self, own_host: str, carrier: Carrier, listener: LineListener) -> PhoneLine:
        is_secret = carrier == "tls" and self._options.secrecy != "off"
        place = self._places.place(own_host)
        return self._make_line("required" if is_secret else "off", place, listener)

    def _new_line(self, invite: Ringing, listener: LineListener) -> PhoneLine:
        # Keys travel in the description, so they are secret over TLS and nowhere else.
        secrecy = self._options.secrecy
        if invite.carrier != "tls":
            if secrecy == "required":
                raise IncompatibleOffer("Only encrypted calls over TLS are taken here.")
            secrecy = "off"
        # A proxy may bring a call by one family whose sound is of the other.
        place = self._places.place(invite.own_host, sound_host(invite.offer))
        return self._make_line(secrecy, place, listener)

    def _make_line(
        self, secrecy: Secrecy, place: tuple[PortRange, str], listener: LineListener
    ) -> PhoneLine:
        ports, host = place
        return PhoneLine(
            replace(self._options.line, secrecy=secrecy),
            ports,
            self._wheel,
            listener,
            host=host,
            libopus=self._libopus,
        )


def _libopus() -> Libopus | None:
    """Opus where the library is installed; all other codecs need nothing."""
    try:
        return Libopus()
    except OSError:
        return None
