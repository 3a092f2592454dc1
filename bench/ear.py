"""A caller's ear: stamps every packet the moment it arrives and knows where in it sound begins."""

from __future__ import annotations

import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import av
import numpy as np

from bench.heard import Heard
from bench.speech import AUDIBLE, RATE_HZ


class Ear(Heard):
    """Hangs on one aiortc receiver.

    It sits in front of aiortc's jitter buffer, which would hold every packet 80 ms back, and in
    its place, so that aiortc decodes nothing; receiver reports still go out as a browser's do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arrived_s = array("d")
        self.sequence_numbers = array("H")
        self.timestamps = array("L")
        self.is_sound = array("b")
        """Whether anything can be heard in each packet."""
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, av.AudioCodecContext)
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = RATE_HZ
        self._codec = codec
        self._pass_on: Callable[[Any, int], Awaitable[None]] | None = None

    def listen_to(self, receiver: Any) -> None:
        """Take over an ``RTCRtpReceiver``, before its first packet."""
        self._pass_on = receiver._handle_rtp_packet
        receiver._handle_rtp_packet = self._on_packet
        # aiortc has no setting for a receiver that only counts.
        receiver._RTCRtpReceiver__jitter_buffer = self

    async def _on_packet(self, packet: Any, arrival_time_ms: int) -> None:
        now_s = time.monotonic()
        self.arrived_s.append(now_s)
        self.sequence_numbers.append(packet.sequence_number)
        self.timestamps.append(packet.timestamp)
        onset_s = self._onset_s(packet.payload)
        self.is_sound.append(onset_s is not None)
        if onset_s is not None:
            self.heard(now_s + onset_s)
        assert self._pass_on is not None
        await self._pass_on(packet, arrival_time_ms)

    def add(self, packet: Any) -> tuple[bool, None]:
        """aiortc's jitter buffer, which here never has anything to decode."""
        return False, None

    def _onset_s(self, payload: bytes) -> float | None:
        """Seconds from the start of the packet to its first audible sample; None for silence."""
        for frame in self._codec.decode(av.Packet(payload)):
            audible = np.abs(frame.to_ndarray()[0]) >= AUDIBLE * 32768
            first = int(audible.argmax())
            if audible[first]:
                return first / RATE_HZ
        return None


def spacing_errors_ms(arrived_s: Sequence[float], timestamps: Sequence[int]) -> list[float]:
    """How far each packet's distance from the one before it was off its 20 ms.

    The sender's own timestamps say what the distance should have been, so that a pause in
    sending is no error.
    """
    return [
        abs((arrived_s[i] - arrived_s[i - 1]) * 1000 - _step_ms(timestamps[i - 1], timestamps[i]))
        for i in range(1, len(arrived_s))
    ]


def lateness_ms(arrived_s: Sequence[float], timestamps: Sequence[int]) -> list[float]:
    """How long after its turn each packet came, against a clock set by the most punctual one."""
    offset_ms, transit_ms = 0.0, list[float]()
    for i in range(len(arrived_s)):
        offset_ms += _step_ms(timestamps[i - 1], timestamps[i]) if i else 0.0
        transit_ms.append((arrived_s[i] - arrived_s[0]) * 1000 - offset_ms)
    earliest_ms = min(transit_ms, default=0.0)
    return [transit - earliest_ms for transit in transit_ms]


def _step_ms(before: int, after: int) -> float:
    ticks = (after - before) & 0xFFFFFFFF
    return (ticks - (ticks >> 31 << 32)) / RATE_HZ * 1000
