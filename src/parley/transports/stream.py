"""A caller's packets, put in order, mended and decoded as they arrive.

The window waits for a missing packet only until the third one behind it has come, then rebuilds it
from the copy in its successor or conceals it. Nothing is held back while packets come in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from parley.core.audio import BYTES_PER_SAMPLE, pcm_bytes
from parley.core.errors import BadAudio

REORDER_PACKETS = 3
MAX_BRIDGED_MS = 200
# Sound that comes this often "too late" is a stream that has started again.
LATE_PACKETS_TO_RESTART = 50
PIECE_MS = 20


class Packet(Protocol):
    """What is used of aiortc's ``RtpPacket``."""

    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


class Decoder(Protocol):
    """One stream's decoder; every answer is s16le mono at ``rate_hz``."""

    rate_hz: int

    def decode(self, packet: bytes) -> bytes:
        """The sound of a packet. Raises ``BadAudio``."""
        ...

    def carries_copy(self, packet: bytes) -> bool:
        """Whether a packet brings a copy of its predecessor."""
        ...

    def recover(self, following: bytes, samples: int) -> bytes:
        """The sound of a lost packet, out of its successor if that carries it."""
        ...

    def conceal(self, samples: int) -> bytes: ...

    def reset(self) -> None:
        """Forget the past, for a stream that starts afresh."""
        ...


@dataclass(slots=True)
class ReceiverCounters:
    """What became of the packets; ``skipped_ms`` is sound that could not even be concealed."""

    packets: int = 0
    recovered: int = 0
    concealed: int = 0
    late: int = 0
    duplicates: int = 0
    corrupted: int = 0
    skipped_ms: float = 0.0


class Pieces:
    """Cuts sound into pieces of 20 ms."""

    def __init__(self, rate_hz: int, sink: Callable[[bytes], None]) -> None:
        self._size = pcm_bytes(PIECE_MS, rate_hz)
        self._sink = sink
        self._rest = b""

    def put(self, pcm: bytes) -> None:
        if len(pcm) == self._size and not self._rest:
            self._sink(pcm)
            return
        held = self._rest + pcm
        whole = len(held) - len(held) % self._size
        for start in range(0, whole, self._size):
            self._sink(held[start : start + self._size])
        self._rest = held[whole:]


class StreamReceiver:
    """Gives the sound of one stream after another to ``sink``, at the decoder's rate.

    ``clock_hz`` is that of the timestamps. Nothing that arrives can make it raise.
    """

    def __init__(self, decoder: Decoder, clock_hz: int, sink: Callable[[bytes], None]) -> None:
        self.counters = ReceiverCounters()
        self.ssrc: int | None = None
        self._decoder = decoder
        self._clock_hz = clock_hz
        self._sink = sink
        self._next = 0
        self._next_timestamp: int | None = None
        self._waiting: dict[int, tuple[Packet, bool]] = {}
        self._samples = decoder.rate_hz * PIECE_MS // 1000
        self._max_bridged_samples = decoder.rate_hz * MAX_BRIDGED_MS // 1000
        self._late_in_a_row = 0
        self._rested_samples = 0

    def take(self, packet: Packet, *, has_sound: bool = True) -> None:
        """A packet; one without sound (keys, comfort noise) only takes its place in the row."""
        self.counters.packets += 1
        if packet.ssrc != self.ssrc:
            self._start_stream(packet)
        ahead = self._ahead(packet.sequence_number)
        if not ahead and not self._waiting:
            self._late_in_a_row = 0
            self._pass(packet, has_sound)
        elif ahead >= 0x8000:
            self._came_late(packet, has_sound)
        elif packet.sequence_number in self._waiting:
            self.counters.duplicates += 1
        else:
            self._late_in_a_row = 0
            self._waiting[packet.sequence_number] = packet, has_sound
            self._play()

    def rest(self, duration_ms: int) -> None:
        """Somebody else has filled that much time with silence: it isn't filled again."""
        self._rested_samples += self._decoder.rate_hz * duration_ms // 1000

    def _start_stream(self, packet: Packet) -> None:
        for waiting in sorted(self._waiting, key=self._ahead):
            found, has_sound = self._waiting[waiting]
            if has_sound:
                self._decode(found)
        self._waiting.clear()
        if self.ssrc is not None:
            self._decoder.reset()
        self.ssrc = packet.ssrc
        self._next = packet.sequence_number
        self._next_timestamp = None
        self._late_in_a_row = 0

    def _came_late(self, packet: Packet, has_sound: bool) -> None:
        self.counters.late += 1
        self._late_in_a_row += 1
        if self._late_in_a_row > LATE_PACKETS_TO_RESTART:
            self._start_stream(packet)
            self._waiting[packet.sequence_number] = packet, has_sound
            self._play()

    def _ahead(self, sequence_number: int) -> int:
        return (sequence_number - self._next) & 0xFFFF

    def _play(self) -> None:
        while self._waiting:
            found = self._waiting.pop(self._next, None)
            if found is not None:
                self._pass(*found)
                continue
            if max(map(self._ahead, self._waiting)) < REORDER_PACKETS:
                return
            self._bridge(min(self._waiting, key=self._ahead))

    def _pass(self, packet: Packet, has_sound: bool) -> None:
        """The packet whose turn it is."""
        if has_sound:
            self._decode(packet)
        self._next = (self._next + 1) & 0xFFFF

    def _bridge(self, following: int) -> None:
        """Fill the gap before the packet ``following``, or as much of it as makes sense."""
        missing = self._ahead(following)
        rested = min(missing, self._rested_samples // self._samples)
        self._rested_samples -= rested * self._samples
        self.counters.concealed += rested
        most = max(1, self._max_bridged_samples // self._samples)
        bridged = min(missing - rested, most)
        if bridged:
            self._conceal(bridged - 1)
            self._mend_last(*self._waiting[following])
        if missing > rested + bridged:
            lost_samples = (missing - rested - bridged) * self._samples
            self.counters.skipped_ms += lost_samples * 1000 / self._decoder.rate_hz
        self._next = following
        self._next_timestamp = None

    def _conceal(self, packets: int) -> None:
        self.counters.concealed += packets
        for _ in range(packets):
            self._sink(self._decoder.conceal(self._samples))

    def _mend_last(self, following: Packet, has_sound: bool) -> None:
        if not has_sound or not self._decoder.carries_copy(following.payload):
            self._conceal(1)
            return
        self.counters.recovered += 1
        self._sink(self._decoder.recover(following.payload, self._samples))

    def _decode(self, packet: Packet) -> None:
        try:
            pcm = self._decoder.decode(packet.payload)
        except BadAudio:
            self.counters.corrupted += 1
            pcm = self._decoder.conceal(self._samples)
        else:
            self._samples = len(pcm) // BYTES_PER_SAMPLE
        self._fill_pause(packet.timestamp)
        ticks = self._samples * self._clock_hz // self._decoder.rate_hz
        self._next_timestamp = packet.timestamp + ticks
        self._sink(pcm)

    def _fill_pause(self, timestamp: int) -> None:
        """Some clients send nothing in silence (DTX); whoever counts time still needs it."""
        rested, self._rested_samples = self._rested_samples, 0
        if self._next_timestamp is None:
            return
        pause_ticks = (timestamp - self._next_timestamp) & 0xFFFFFFFF
        pause_samples = pause_ticks * self._decoder.rate_hz // self._clock_hz
        # Less than a packet is a clock's jitter, and half the range or more lies in the past.
        if pause_ticks < 0x80000000 and pause_samples - rested >= self._samples:
            wanted = min(pause_samples - rested, self._max_bridged_samples)
            self._sink(bytes(wanted * BYTES_PER_SAMPLE))
