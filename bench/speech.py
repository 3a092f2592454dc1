"""What callers say: sentences in a synthetic voice at 48 kHz, whose true end is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

from parley.core.audio import Resampler
from parley.engines.spec import SpeechOptions
from parley.engines.tts.builtin import BuiltinSpeech, BuiltinSpeechOptions

RATE_HZ = 48_000
PACKET_MS = 20
PACKET_SAMPLES = RATE_HZ * PACKET_MS // 1000
PACKET_BYTES = PACKET_SAMPLES * 2
VOICE = "en-us+f3"

AUDIBLE = 0.01
"""A sample counts as sound from this share of full scale (-40 dBFS) on."""


ROOM_NOISE = 0.0005
"""A microphone is never digitally silent: noise of -66 dBFS, as browsers' suppression leaves."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence as whole packets of s16le mono at 48 kHz.

    The last audible sample is the last one of packet ``last_packet``; what comes after it is the
    voice's fading, which nobody hears.
    """

    text: str
    pcm: bytes
    last_packet: int

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) // PACKET_BYTES * PACKET_MS


def utterance(text: str, pcm: bytes) -> Utterance:
    """Shift the sound so that its audible end is the end of a packet."""
    audible = np.flatnonzero(np.abs(np.frombuffer(pcm, dtype=np.int16)) >= AUDIBLE * 32768)
    if not len(audible):
        raise ValueError(f"nothing can be heard in {text!r}")
    end = int(audible[-1]) + 1
    shifted = bytes(-end % PACKET_SAMPLES * 2) + pcm
    packets = -(-len(shifted) // PACKET_BYTES)
    last_packet = -(-end // PACKET_SAMPLES) - 1
    return Utterance(text, shifted.ljust(packets * PACKET_BYTES, b"\0"), last_packet)


async def speak_all(texts: list[str]) -> list[Utterance]:
    """Every sentence in the built-in synthetic voice."""
    return [utterance(text, await synthesize(text, RATE_HZ)) for text in texts]


async def synthesize(text: str, rate_hz: int) -> bytes:
    """A text in the built-in voice, s16le mono."""
    engine = BuiltinSpeech(BuiltinSpeechOptions.model_validate({}))
    pieces: list[bytes] = []
    try:
        async with aclosing(engine.synthesize(text, SpeechOptions(voice=VOICE))) as sounds:
            resampler: Resampler | None = None
            async for sound in sounds:
                resampler = resampler or Resampler(sound.rate_hz, rate_hz)
                pieces.append(resampler.push(sound.pcm))
            if resampler:
                pieces.append(resampler.flush())
    finally:
        await engine.close()
    return b"".join(pieces)


class OpusEncoder:
    """Encodes 20 ms of s16le mono at 48 kHz at a time, with a room's noise added, as a browser's
    microphone would."""

    def __init__(self) -> None:
        self._room = np.random.default_rng(1)
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, av.AudioCodecContext)
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = RATE_HZ
        codec.bit_rate = 32_000
        codec.time_base = Fraction(1, RATE_HZ)
        codec.options = {"application": "voip", "frame_duration": "20"}
        self._codec = codec
        self._position = 0

    def encode(self, pcm: bytes) -> bytes:
        noise = self._room.normal(0.0, ROOM_NOISE * 32768, PACKET_SAMPLES)
        heard = np.frombuffer(pcm, dtype=np.int16) + np.rint(noise)
        samples = np.clip(heard, -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.time_base = Fraction(1, RATE_HZ)
        frame.pts = self._position
        self._position += PACKET_SAMPLES
        packets = cast(list[Any], self._codec.encode(frame))
        return b"".join(map(bytes, packets))


def packets_of(pcm: bytes) -> Iterator[bytes]:
    """The sound in 20 ms steps, the last one filled up with silence."""
    for at in range(0, len(pcm), PACKET_BYTES):
        yield pcm[at : at + PACKET_BYTES].ljust(PACKET_BYTES, b"\0")
