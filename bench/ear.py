"""A caller's ear: stamps every packet the moment it arrives and knows where in it sound begins."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import av
import numpy as np

from bench.speech import AUDIBLE, RATE_HZ

NO_SOUND = -1.0


class Ear:
    """Hangs on one aiortc receiver.

    It sits in front of aiortc's jitter buffer, which would hold every packet 80 ms back, and in
    its place, so that aiortc decodes nothing; receiver reports still go out as a browser's do.
    """

    def __init__(self) -> None:
        self.arrived_s = array("d")
        self.sequence_numbers = array("H")
        self.timestamps = array("L")
        self.sound_s = array("d")
        """When the first audible sample of each packet came, or ``NO_SOUND``."""
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, av.AudioCodecContext)
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = RATE_HZ
        self._codec = codec
        self._pass_on: Callable[[Any, int], Awaitable[None]] | None = None
        self._sound = asyncio.Event()
        self.last_sound_s = 0.0

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
        if onset_s == NO_SOUND:
            self.sound_s.append(NO_SOUND)
        else:
            self.last_sound_s = now_s + onset_s
            self.sound_s.append(self.last_sound_s)
            self._sound.set()
        assert self._pass_on is not None
        await self._pass_on(packet, arrival_time_ms)

    def add(self, packet: Any) -> tuple[bool, None]:
        """aiortc's jitter buffer, which here never has anything to decode."""
        return False, None

    def _onset_s(self, payload: bytes) -> float:
        """Seconds from the start of the packet to its first audible sample."""
        for frame in self._codec.decode(av.Packet(payload)):
            audible = np.abs(frame.to_ndarray()[0]) >= AUDIBLE * 32768
            first = int(audible.argmax())
            if audible[first]:
                return first / RATE_HZ
        return NO_SOUND

    async def sound_after(self, moment_s: float, limit_s: float) -> float | None:
        """When the first sound after ``moment_s`` was heard; None if there was none in time."""
        try:
            async with asyncio.timeout(limit_s):
                while (heard_s := self._first_sound_after(moment_s)) is None:
                    self._sound.clear()
                    await self._sound.wait()
                return heard_s
        except TimeoutError:
            return None

    async def quiet_for(self, pause_s: float, limit_s: float) -> bool:
        """Wait until nothing has been heard for ``pause_s``; False if it never fell silent."""
        end_s = time.monotonic() + limit_s
        while (now_s := time.monotonic()) < end_s:
            rest_s = self.last_sound_s + pause_s - now_s
            if rest_s <= 0:
                return True
            await asyncio.sleep(rest_s)
        return False

    def _first_sound_after(self, moment_s: float) -> float | None:
        found = None
        for heard_s in reversed(self.sound_s):
            if heard_s == NO_SOUND:
                continue
            if heard_s <= moment_s:
                break
            found = heard_s
        return found


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
