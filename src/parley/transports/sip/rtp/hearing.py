"""What comes in: the caller's sound at one rate, without gaps, and the keys that are pressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from parley.core.audio import Resampler, pcm_bytes
from parley.transports.sip.agreement import Negotiated
from parley.transports.sip.rtp.codecs import Codec, make_decoder
from parley.transports.sip.rtp.digits import DigitReceiver
from parley.transports.sip.rtp.packet import RtpPacket
from parley.transports.sip.rtp.reports import Reception
from parley.transports.stream import PIECE_MS, Pieces, StreamReceiver
from parley.transports.webrtc.microphone import CALLER_RATE_HZ
from parley.transports.webrtc.opus import Libopus

# After so long without a packet silence is heard: longer than jitter, shorter than a word.
QUIET_AFTER_S = 0.1
# A process that was stuck for longer doesn't make up for all of it.
_MAX_FILLED_MS = 1000


class Hearing:
    """Gives 20 ms pieces at ``rate_hz`` to ``on_sound`` for as long as the call lasts, once sound
    has come.

    Where the far side sends nothing (DTX, hold, a dead network), silence is heard: whoever waits
    for the end of a sentence must not wait for a packet.
    """

    def __init__(
        self,
        on_sound: Callable[[bytes], None],
        on_digit: Callable[[str], None],
        libopus: Libopus | None,
        *,
        rate_hz: int = CALLER_RATE_HZ,
    ) -> None:
        self.reception: Reception | None = None
        self.foreign_packets = 0
        self._digits = DigitReceiver(on_digit)
        self._event_ssrc: int | None = None
        self._libopus = libopus
        self._rate_hz = rate_hz
        self._pieces = Pieces(rate_hz, on_sound)
        self._quiet = bytes(pcm_bytes(PIECE_MS, rate_hz))
        self._agreed: Negotiated | None = None
        self._voice_types: frozenset[int] = frozenset()
        self._known_types: frozenset[int | None] = frozenset()
        self._receiver: StreamReceiver | None = None
        self._past: dict[str, float] = {}
        self._resampler: Resampler | None = None
        self._is_pausing = False
        self._heard_s: float | None = None
        """When sound came last; None before the first."""
        self._filled_s = 0.0

    def agree(self, agreed: Negotiated) -> None:
        before, self._agreed = self._agreed, agreed
        self._voice_types = frozenset((agreed.heard_type, agreed.payload_type))
        self._known_types = self._voice_types | {agreed.event_type, agreed.noise_type}
        if before is None or before.codec is not agreed.codec:
            self._change_codec(agreed.codec)

    def _change_codec(self, codec: Codec) -> None:
        self._past = self.counters()
        self._receiver = StreamReceiver(
            make_decoder(codec, self._libopus), codec.clock_hz, self._decoded
        )
        self.reception = None
        self._is_pausing = False
        self._resampler = None
        if codec.heard_hz != self._rate_hz:
            self._resampler = Resampler(codec.heard_hz, self._rate_hz)
            # It keeps two milliseconds of its first piece back. Let that be silence: from then on
            # every packet gives a whole piece, and none waits for the next.
            self._resampler.push(bytes(pcm_bytes(PIECE_MS, codec.heard_hz)))

    def knows(self, payload_type: int) -> bool:
        return payload_type in self._known_types

    def take(self, packet: RtpPacket, now_s: float) -> None:
        """A packet of the call; those of types that weren't agreed on only count."""
        agreed, receiver = self._agreed, self._receiver
        if agreed is None or receiver is None:
            return
        if packet.payload_type in self._voice_types:
            self._count(packet, agreed.codec, now_s)
            receiver.take(packet, has_sound=agreed.may_hear)
            if agreed.may_hear:
                self._is_pausing = False
                self._heard_s = self._filled_s = now_s
            return
        if packet.payload_type == agreed.event_type:
            self._take_digit(packet, now_s)
        elif packet.payload_type == agreed.noise_type:
            self._is_pausing = True
        else:
            self.foreign_packets += 1
        # Some gateways send keys as a stream of their own; that is no new voice.
        if packet.ssrc == receiver.ssrc:
            self._count(packet, agreed.codec, now_s)
            receiver.take(packet, has_sound=False)

    def tick(self, now_s: float) -> None:
        """Time goes by: keys whose end was lost are told, and silence is heard."""
        self._digits.tick(now_s)
        if self._heard_s is None or self._receiver is None:
            return
        if not self._is_pausing and now_s - self._heard_s < QUIET_AFTER_S:
            return
        pieces = int((now_s - self._filled_s) * 1000) // PIECE_MS
        if pieces > 0:
            self._filled_s += pieces * PIECE_MS / 1000
            filled = min(pieces, _MAX_FILLED_MS // PIECE_MS)
            self._receiver.rest(filled * PIECE_MS)
            for _ in range(filled):
                self._pieces.put(self._quiet)

    def finish(self) -> None:
        """Nothing more will come."""
        self._digits.finish()

    def counters(self) -> dict[str, float]:
        present: Mapping[str, float] = asdict(self._receiver.counters) if self._receiver else {}
        names = self._past.keys() | present.keys()
        return {name: self._past.get(name, 0) + present.get(name, 0) for name in names}

    def _take_digit(self, packet: RtpPacket, now_s: float) -> None:
        if packet.ssrc != self._event_ssrc:
            self._event_ssrc = packet.ssrc
            self._digits.forget_stream()
        self._digits.take(packet.timestamp, packet.payload, now_s)

    def _count(self, packet: RtpPacket, codec: Codec, now_s: float) -> None:
        if self.reception is None or self.reception.ssrc != packet.ssrc:
            self.reception = Reception(packet.ssrc, packet.sequence_number, codec.clock_hz)
        self.reception.add(packet.sequence_number, packet.timestamp, now_s)

    def _decoded(self, pcm: bytes) -> None:
        self._pieces.put(pcm if self._resampler is None else self._resampler.push(pcm))
