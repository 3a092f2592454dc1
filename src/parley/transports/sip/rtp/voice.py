"""What goes out: a packet a turn, of speech, of keys or of silence, stamped as time goes by."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from parley.core.errors import NotSupported
from parley.transports.phone_playout import PhonePlayout
from parley.transports.sip.agreement import Negotiated
from parley.transports.sip.rtp.codecs import Encoder, make_encoder
from parley.transports.sip.rtp.digits import DigitSender
from parley.transports.sip.rtp.reports import Sent
from parley.transports.webrtc.opus import Libopus
from parley.transports.wheel import SLOTS_PER_S

# NATs and relays forget a stream that says nothing for long.
KEEP_ALIVE_S = 15

# Without sources, extensions or padding a header is these twelve bytes.
_HEADER = struct.Struct("!BBHLL")
_VERSION = 0x80


@dataclass(slots=True)
class VoiceCounters:
    sent_packets: int = 0
    sent_octets: int = 0
    sent_digit_packets: int = 0


class Voice:
    """Takes from the playout and gives finished RTP packets to ``transmit``.

    The timestamp follows the wheel through silence and stalls; the sequence number counts packets.
    A packet after a pause has the marker.
    """

    def __init__(
        self,
        playout: PhonePlayout,
        transmit: Callable[[bytes], None],
        libopus: Libopus | None,
        *,
        sends_silence: bool,
    ) -> None:
        self.digits = DigitSender()
        self.counters = VoiceCounters()
        self.ssrc = random.getrandbits(32)
        self._playout = playout
        self._transmit = transmit
        self._libopus = libopus
        self._sends_silence = sends_silence
        self._agreed: Negotiated | None = None
        self._encoder: Encoder | None = None
        self._sequence = random.getrandbits(16)
        self._base = random.getrandbits(32)
        self._base_slot = 0
        self._slot = 0
        self._next_slot: int | None = None
        """When the next packet is due if there is no pause before it."""
        self._step_slots = 4

    def agree(self, agreed: Negotiated) -> None:
        """Go on as it was agreed."""
        before, self._agreed = self._agreed, agreed
        if (
            before is not None
            and before.codec is agreed.codec
            and before.packet_ms == agreed.packet_ms
        ):
            return
        if before is not None:
            self._base, self._base_slot = self._timestamp(self._slot, before), self._slot
        codec, packet_ms = agreed.codec, agreed.packet_ms
        self._encoder = make_encoder(codec, packet_ms, self._libopus)
        self._playout.change_codec(codec.spoken_hz, packet_ms)
        self._step_slots = packet_ms * SLOTS_PER_S // 1000

    def turn(self, slot: int) -> None:
        """The time of one packet has come."""
        self._slot = slot
        agreed, encoder = self._agreed, self._encoder
        if agreed is None or encoder is None or not agreed.may_send:
            self._playout.rest()
            return
        if self.digits.is_busy:
            if agreed.event_type is not None:
                self._send_digit(agreed, agreed.event_type, slot)
                return
            self.digits.give_up(NotSupported("The far side takes no keys in its RTP any more."))
        pcm = self._playout.take()
        if pcm is not None:
            payload = encoder.encode(pcm)
        elif self._sends_silence or self._is_overdue(slot):
            payload = encoder.silence()
        else:
            return
        self._send(agreed.payload_type, payload, self._timestamp(slot, agreed), slot)

    def sent(self) -> Sent:
        agreed = self._agreed
        return Sent(
            self.ssrc,
            self.counters.sent_packets,
            self.counters.sent_octets,
            self._base if agreed is None else self._timestamp(self._slot, agreed),
            8000 if agreed is None else agreed.codec.clock_hz,
        )

    def _is_overdue(self, slot: int) -> bool:
        return self._next_slot is None or slot - self._next_slot >= KEEP_ALIVE_S * SLOTS_PER_S

    def _timestamp(self, slot: int, agreed: Negotiated) -> int:
        ticks = (slot - self._base_slot) * agreed.codec.clock_hz // SLOTS_PER_S
        return (self._base + ticks) & 0xFFFF_FFFF

    def _send_digit(self, agreed: Negotiated, payload_type: int, slot: int) -> None:
        now = self._timestamp(slot, agreed)
        digit = self.digits.turn(now, agreed.packet_ms, agreed.codec.clock_hz)
        if digit is None:
            return
        self.counters.sent_digit_packets += 1
        self._send(payload_type, digit.payload, digit.timestamp, slot, is_first=digit.is_first)

    def _send(
        self,
        payload_type: int,
        payload: bytes,
        timestamp: int,
        slot: int,
        *,
        is_first: bool | None = None,
    ) -> None:
        follows_pause = self._next_slot is None or slot > self._next_slot
        marker = follows_pause if is_first is None else is_first
        kind = payload_type | (0x80 if marker else 0)
        header = _HEADER.pack(_VERSION, kind, self._sequence, timestamp, self.ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._next_slot = slot + self._step_slots
        self.counters.sent_packets += 1
        self.counters.sent_octets += len(payload)
        self._transmit(header + payload)
