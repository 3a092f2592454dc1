"""A browser's packets: where aiortc keeps its jitter buffer.

aiortc's own audio jitter buffer holds four packets back and, for every packet that is lost,
throws good ones away with it: at 10 % loss an agent heard 58 % of the sound.
"""

from __future__ import annotations

from collections.abc import Callable

from parley.transports.stream import Decoder, Packet, Pieces, StreamReceiver
from parley.transports.webrtc.microphone import CALLER_RATE_HZ

RTP_RATE_HZ = 48_000


class OpusReceiver(StreamReceiver):
    """Stands where aiortc keeps its jitter buffer and gives 20 ms pieces at 16 kHz to ``sink``."""

    def __init__(self, decoder: Decoder, sink: Callable[[bytes], None]) -> None:
        super().__init__(decoder, RTP_RATE_HZ, Pieces(CALLER_RATE_HZ, sink).put)

    def add(self, packet: Packet) -> tuple[bool, None]:
        """aiortc's call for each packet; never raises, for that would end the connection."""
        self.take(packet)
        return False, None
