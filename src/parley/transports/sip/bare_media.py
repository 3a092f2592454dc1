"""A call that is sound alone: its packets say that it begins, and their end is its end."""

from __future__ import annotations

from collections.abc import Callable

from parley.core.call import Ability
from parley.core.errors import NotSupported
from parley.transports.sip.agreement import Address, Negotiated
from parley.transports.sip.phone_media import PhoneMedia
from parley.transports.sip.rtp.codecs import G722, PCMA, PCMU, Codec
from parley.transports.sip.rtp.line import LineListener, PhoneLine
from parley.transports.sip.rtp.packet import RtpPacket

# What RFC 3551 has fixed, and what nearly everybody numbers keys by.
CODECS = {codec.payload_type: codec for codec in (PCMU, PCMA, G722)}
_EVENT_TYPE = 101
_NOISE_TYPE = 13
_BYTES_PER_MS = 8
_USUAL_MS = 20


def codec_of(packet: RtpPacket) -> Codec | None:
    """What a packet is encoded with; None for what begins no call."""
    return CODECS.get(packet.payload_type) if packet.payload else None


def agreed_by(packet: RtpPacket, codec: Codec, source: Address) -> Negotiated:
    """What a first packet says of the call: nobody has negotiated anything."""
    packet_ms = len(packet.payload) // _BYTES_PER_MS
    return Negotiated(
        codec=codec,
        payload_type=packet.payload_type,
        heard_type=packet.payload_type,
        packet_ms=packet_ms if packet_ms in codec.frames_ms else _USUAL_MS,
        event_type=_EVENT_TYPE,
        noise_type=_NOISE_TYPE,
        remote=source,
        remote_rtcp=(source[0], source[1] + 1) if source[1] < 65_535 else None,
    )


class BareMedia(PhoneMedia):
    """Implements ``CallMedia`` for one source of packets."""

    abilities: frozenset[Ability] = frozenset({"digits"})

    def __init__(
        self,
        call_id: str,
        source: Address,
        make_line: Callable[[LineListener], PhoneLine],
        on_over: Callable[[PhoneMedia], None],
    ) -> None:
        super().__init__(call_id, make_line, on_over)
        self.source = source

    async def send_dtmf(self, digits: str) -> None:
        await self.line.send_digits(digits)

    async def hold(self) -> None:
        raise NotSupported("A call that is sound alone can't be put on hold.")

    async def resume(self) -> None:
        raise NotSupported("A call that is sound alone can't be put on hold.")

    async def transfer(self, target: str) -> None:
        raise NotSupported(
            "A call that is sound alone can't be transferred.", hint="Calls by SIP can."
        )

    def leave(self) -> None:
        """The server goes down; the session ends the call when it hears of it."""
        self._leave("drain")

    def on_silence(self) -> None:
        """A caller hangs up by sending nothing more, or says goodbye by RTCP."""
        self._leave("caller")
