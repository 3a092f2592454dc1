"""The telephone: what rings here is answered by an agent."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol

from parley.core.call import CallInfo
from parley.session.dialling import Dial
from parley.settings import Settings
from parley.transports.sip.addresses import write_uri
from parley.transports.sip.attendant import Attendant, Host
from parley.transports.sip.dialler import Dialler, OutHost
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.options import SipOptions
from parley.transports.sip.ringing import Ringing
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU
from parley.transports.sip.rtp.line import LineListener, LineOptions, PhoneLine
from parley.transports.sip.rtp.ports import PortRange
from parley.transports.sip.rtp.wheel import Wheel
from parley.transports.webrtc.opus import Libopus

# What our own Contact says: a PBX that we registered with calls us by it.
OWN_NAME = "parley"


class TelephoneHost(OutHost, Host, Protocol):
    """What calls in both directions need of the session."""


@dataclass(frozen=True)
class TelephoneOptions:
    """``rtp_ports`` are the first and the last port for sound, both included. Sound is taken at
    ``rtp_host`` and sent to ``rtp_public_host``; "" means as SIP does."""

    sip: SipOptions = field(default_factory=SipOptions)
    line: LineOptions = field(default_factory=LineOptions)
    rtp_ports: tuple[int, int] = (10_000, 20_000)
    rtp_host: str = ""
    rtp_public_host: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> TelephoneOptions:
        """Raises ``BadSettings``."""
        return cls(
            sip=SipOptions.from_settings(settings),
            line=LineOptions(codecs=(OPUS, G722, PCMU, PCMA)),
            rtp_ports=settings.rtp_range,
            rtp_host=settings.rtp_bind_ip,
            rtp_public_host=settings.rtp_ip,
        )


class Telephone:
    """Use it as an async context manager; leaving it hangs up what is still going."""

    def __init__(self, options: TelephoneOptions, host: TelephoneHost) -> None:
        """Raises ``BadSettings``."""
        self._options = options
        self._ports = PortRange(
            options.rtp_host or options.sip.host or "0.0.0.0", *options.rtp_ports
        )
        self._wheel = Wheel()
        self._libopus = _libopus()
        self._attendant = Attendant(
            host,
            self._new_line,
            transport="sip",
            own_names=frozenset({OWN_NAME, options.sip.account.username} - {""}),
        )
        self._stack = AsyncExitStack()
        self.endpoint = SipEndpoint(options.sip, self._attendant.take)
        self._dialler = Dialler(host, self.endpoint, self._line_towards, self._attendant.open)

    @property
    def live_calls(self) -> int:
        """Calls that hold a line."""
        return len(self._attendant.open)

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

    async def dial(self, wish: Dial) -> CallInfo:
        """Begin to call somebody, as ``Dialler.dial`` does."""
        return await self._dialler.dial(wish)

    def _line_towards(self, own_host: str, listener: LineListener) -> PhoneLine:
        return self._make_line(self._options.line, own_host, listener)

    def _new_line(self, invite: Ringing, listener: LineListener) -> PhoneLine:
        options = self._options.line
        if invite.carrier == "tls":
            # Its keys travel in the description, so they are secret here and nowhere else.
            options = replace(options, secrecy="allowed")
        return self._make_line(options, invite.own_host, listener)

    def _make_line(self, options: LineOptions, own_host: str, listener: LineListener) -> PhoneLine:
        return PhoneLine(
            options,
            self._ports,
            self._wheel,
            listener,
            host=self._options.rtp_public_host or own_host,
            libopus=self._libopus,
        )


def _libopus() -> Libopus | None:
    """Opus where the library is installed; all other codecs need nothing."""
    try:
        return Libopus()
    except OSError:
        return None
