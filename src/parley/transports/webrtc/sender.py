"""The agent's voice on its way out: a playout buffer that knows what was really sent."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from parley.core.audio import BYTES_PER_SAMPLE, pcm_bytes
from parley.transports.webrtc.opus import OpusEncoder

VOICE_RATE_HZ = 24_000
PACKET_MS = 20
PACKET_BYTES = pcm_bytes(PACKET_MS, VOICE_RATE_HZ)
# A loop that was stuck for longer doesn't hurry after the clock: the browser would keep the
# surplus in its own buffer and be late for the rest of the call.
MAX_LATE_PACKETS = 4

_RTP_RATE_HZ = 48_000
_TICKS_PER_PACKET = _RTP_RATE_HZ * PACKET_MS // 1000
_TIME_BASE = Fraction(1, _RTP_RATE_HZ)


@dataclass(slots=True)
class PlayoutCounters:
    """``underruns`` are the times the voice ran dry in mid-utterance, ``underrun_ms`` how long."""

    underruns: int = 0
    underrun_ms: int = 0
    clears: int = 0
    cleared_ms: int = 0


class Playout:
    """Speech that waits to be sent, mono at ``rate_hz``.

    ``write`` holds its caller up while more than ``ahead_ms`` wait, so that little is left to
    throw away when the caller interrupts; nothing is ever dropped but by ``clear``.
    """

    def __init__(self, ahead_ms: int, *, rate_hz: int = VOICE_RATE_HZ) -> None:
        self.counters = PlayoutCounters()
        self._rate_hz = rate_hz
        self._packet_ms = PACKET_MS
        self._packet_bytes = pcm_bytes(PACKET_MS, rate_hz)
        self._ahead_ms = ahead_ms
        self._ahead_bytes = pcm_bytes(ahead_ms, rate_hz)
        self._pcm = bytearray()
        self._sent_bytes = 0
        self._packets = 0
        self._speaking = False
        self._dry = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def held_ms(self) -> float:
        return len(self._pcm) / BYTES_PER_SAMPLE * 1000 / self._rate_hz

    @property
    def played_ms(self) -> int:
        """What was sent of the present utterance, or in silence of the last one."""
        return self._sent_bytes // BYTES_PER_SAMPLE * 1000 // self._rate_hz

    def start_utterance(self) -> None:
        self._sent_bytes = 0
        self._speaking = True
        self._dry = False

    def end_utterance(self) -> None:
        self._speaking = False

    def put(self, pcm: bytes) -> None:
        """Take speech from somebody who keeps the pace without being held up."""
        self._pcm += pcm

    async def write(self, pcm: bytes) -> None:
        """Take speech; return when it is nearly its turn, or cleared."""
        self.put(pcm)
        while len(self._pcm) > self._ahead_bytes:
            await self._change()

    async def drained(self) -> None:
        """Return when everything that was written has been sent, or cleared."""
        while self._pcm:
            await self._change()

    async def rested(self, silence_ms: int) -> None:
        """Return when that much more has gone out, silence or not."""
        packets = self._packets + silence_ms // self._packet_ms
        while self._packets < packets:
            await self._change()

    async def _change(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def take(self) -> bytes | None:
        """The next 20 ms for the wire; None for silence. What counts as sent is what is taken."""
        if not self._pcm:
            return self.miss()
        self._packets += 1
        self._wake()
        self._dry = False
        packet = bytes(self._pcm[: self._packet_bytes])
        del self._pcm[: self._packet_bytes]
        self._sent_bytes += len(packet)
        return packet.ljust(self._packet_bytes, b"\0")

    def miss(self) -> None:
        """A packet's time passes in silence."""
        self._packets += 1
        self._wake()
        # Between the start of an utterance and its first sound nothing has run dry.
        if self._speaking and self._sent_bytes:
            self.counters.underruns += not self._dry
            self.counters.underrun_ms += self._packet_ms
            self._dry = True

    def clear(self) -> int:
        """Throw away what waits; return ``played_ms``."""
        self.counters.clears += 1
        self.counters.cleared_ms += round(self.held_ms)
        self._pcm.clear()
        self._speaking = False
        self._wake()
        return self.played_ms

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)


class VoiceTrack(MediaStreamTrack):
    """One connection's outgoing track: a packet every 20 ms, of speech or of silence.

    With an encoder it gives aiortc finished Opus packets, which are sent as they are; without
    one it gives samples, for aiortc to encode in a thread. It is silent until ``playout`` is
    set, and again when it is taken away.
    """

    kind = "audio"

    def __init__(
        self,
        encoder: OpusEncoder | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self.playout: Playout | None = None
        self.stalled_ms = 0
        """Time that passed without a packet because this process was stuck."""
        self._encoder = encoder
        self._clock = clock
        self._sleep = sleep
        self._due_s: float | None = None
        self._ticks = 0

    async def recv(self) -> av.Packet[Any] | av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await self._keep_pace()
        pcm = self.playout.take() if self.playout is not None else None
        if self._encoder is None:
            return self._frame(pcm or bytes(PACKET_BYTES))
        payload = self._encoder.encode_silence() if pcm is None else self._encoder.encode(pcm)
        packet = av.Packet(payload)
        packet.pts = self._ticks
        packet.time_base = _TIME_BASE
        return packet

    async def _keep_pace(self) -> None:
        if self._due_s is None:
            self._due_s = self._clock()
            return
        self._due_s += PACKET_MS / 1000
        self._ticks += _TICKS_PER_PACKET
        wait_s = self._due_s - self._clock()
        if wait_s > 0:
            await self._sleep(wait_s)
            return
        late_packets = int(-wait_s * 1000 / PACKET_MS)
        if late_packets > MAX_LATE_PACKETS:
            self._due_s += late_packets * PACKET_MS / 1000
            self._ticks += late_packets * _TICKS_PER_PACKET
            self.stalled_ms += late_packets * PACKET_MS

    def _frame(self, pcm: bytes) -> av.AudioFrame:
        samples = np.frombuffer(pcm, dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = VOICE_RATE_HZ
        frame.pts = self._ticks * VOICE_RATE_HZ // _RTP_RATE_HZ
        frame.time_base = Fraction(1, VOICE_RATE_HZ)
        return frame
