"""RTP packets of a voice, and what a test does to them on the way."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from parley.core.audio import Resampler
from parley.transports.webrtc.opus import Libopus
from parley.transports.webrtc.receiver import OpusReceiver


@dataclass
class Rtp:
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def packets_of(
    libopus: Libopus,
    pcm_24k: bytes,
    *,
    first: int = 0,
    timestamp: int = 0,
    ssrc: int = 1,
    packet_ms: int = 20,
) -> list[Rtp]:
    """A voice as a browser sends it."""
    encoder = libopus.encoder(24_000)
    size = 24 * packet_ms * 2
    frames = [pcm_24k[at : at + size] for at in range(0, len(pcm_24k) - size + 1, size)]
    return [
        Rtp(
            (first + n) & 0xFFFF,
            (timestamp + n * 48 * packet_ms) & 0xFFFFFFFF,
            ssrc,
            encoder.encode(frame),
        )
        for n, frame in enumerate(frames)
    ]


class Listener:
    """An ``OpusReceiver`` and the pieces that it gave."""

    def __init__(self, libopus: Libopus) -> None:
        self.pieces: list[bytes] = []
        self.receiver = OpusReceiver(libopus.decoder(16_000), self.pieces.append)

    def hear(self, packets: Iterable[Rtp]) -> bytes:
        for packet in packets:
            assert self.receiver.add(packet) == (False, None)
        return self.sound

    @property
    def sound(self) -> bytes:
        return b"".join(self.pieces)


def without(packets: list[Rtp], share: float, seed: int = 1) -> list[Rtp]:
    """Some packets are lost, never the first and the last three."""
    dice = random.Random(seed)
    kept = [packet for packet in packets[1:-3] if dice.random() >= share]
    return [packets[0], *kept, *packets[-3:]]


def human_speech(duration_s: int) -> bytes:
    """The beginning of A Tale of Two Cities, read aloud (public domain), at 24 kHz."""
    package = find_spec("moonshine_voice")
    assert package is not None and package.origin is not None
    with wave.open(str(Path(package.origin).parent / "assets" / "two_cities.wav")) as file:
        rate_hz = file.getframerate()
        pcm = file.readframes(rate_hz * duration_s)
    resampler = Resampler(rate_hz, 24_000)
    return (resampler.push(pcm) + resampler.flush())[: 24_000 * 2 * duration_s]
