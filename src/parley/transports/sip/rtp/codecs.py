"""The telephone's codecs: what they are called on the wire, and how they encode and decode."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.error import FFmpegError

from parley.core.audio import BYTES_PER_SAMPLE, frame_of, pcm_bytes, samples_of
from parley.core.errors import BadAudio, NotSupported
from parley.core.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw
from parley.transports.sip.rtp.concealment import Concealer
from parley.transports.stream import Decoder
from parley.transports.webrtc.opus import Libopus

# In so many frames the last sound dies away in an adaptive encoder.
_FRAMES_TO_SILENCE = 10


@dataclass(frozen=True, slots=True)
class Codec:
    """``clock_hz`` is that of the timestamps, which for G.722 is not that of the samples.

    ``heard_hz`` is what its decoder gives and ``spoken_hz`` what its encoder takes. ``frames_ms``
    are the lengths of packets that it can make.
    """

    name: str
    clock_hz: int
    heard_hz: int
    spoken_hz: int
    payload_type: int | None = None
    """None: it has none of its own, the offer gives it one."""
    channels: str = ""
    frames_ms: tuple[int, ...] = (10, 20, 30, 40, 60)

    @property
    def rtpmap(self) -> str:
        return f"{self.name}/{self.clock_hz}{self.channels}"

    @property
    def is_wideband(self) -> bool:
        return self.heard_hz > 8000


PCMU = Codec("PCMU", 8000, 8000, 8000, 0)
PCMA = Codec("PCMA", 8000, 8000, 8000, 8)
G722 = Codec("G722", 8000, 16_000, 16_000, 9)
OPUS = Codec("opus", 48_000, 16_000, 24_000, None, "/2", (10, 20, 40, 60))
CODECS = {codec.name.lower(): codec for codec in (PCMU, PCMA, G722, OPUS)}


class Encoder(Protocol):
    """Makes the payload of one packet after another, all of one length."""

    def encode(self, pcm: bytes) -> bytes: ...

    def silence(self) -> bytes: ...


def make_decoder(codec: Codec, libopus: Libopus | None) -> Decoder:
    if codec is OPUS:
        return _require(libopus).decoder(codec.heard_hz)
    if codec is G722:
        return G722Decoder()
    return G711Decoder("a" if codec is PCMA else "u")


def make_encoder(codec: Codec, packet_ms: int, libopus: Libopus | None) -> Encoder:
    if codec is OPUS:
        return OpusVoice(_require(libopus), packet_ms)
    if codec is G722:
        return G722Encoder(packet_ms)
    return G711Encoder("a" if codec is PCMA else "u", packet_ms)


def _require(libopus: Libopus | None) -> Libopus:
    if libopus is None:
        raise NotSupported("Opus was agreed on, and libopus is not installed.")
    return libopus


class _PlainDecoder:
    """What decoders have in common whose packets carry no copies of others."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._concealer = Concealer(rate_hz)

    def carries_copy(self, packet: bytes) -> bool:
        return False

    def recover(self, following: bytes, samples: int) -> bytes:
        return self.conceal(samples)

    def conceal(self, samples: int) -> bytes:
        return self._concealer.conceal(samples)


class G711Decoder(_PlainDecoder):
    def __init__(self, law: Literal["a", "u"]) -> None:
        super().__init__(8000)
        self._expand = from_alaw if law == "a" else from_ulaw

    def decode(self, packet: bytes) -> bytes:
        if not packet:
            raise BadAudio("The packet is empty.")
        return self._concealer.heard(self._expand(packet))

    def reset(self) -> None:
        self._concealer = Concealer(self.rate_hz)


class G722Decoder(_PlainDecoder):
    def __init__(self) -> None:
        super().__init__(16_000)
        self._context = _context("r")

    def decode(self, packet: bytes) -> bytes:
        if not packet:
            raise BadAudio("The packet is empty.")
        try:
            frames = self._context.decode(av.Packet(packet))
        except FFmpegError as error:
            raise BadAudio(f"The packet is not G.722: {error}.") from error
        pcm = b"".join(map(samples_of, frames))
        if not pcm:
            raise BadAudio("The packet holds no sound.")
        return self._concealer.heard(pcm)

    def reset(self) -> None:
        self._context = _context("r")
        self._concealer = Concealer(self.rate_hz)


class G711Encoder:
    def __init__(self, law: Literal["a", "u"], packet_ms: int) -> None:
        self._compress = to_alaw if law == "a" else to_ulaw
        self._silence = self._compress(bytes(pcm_bytes(packet_ms, 8000)))

    def encode(self, pcm: bytes) -> bytes:
        return self._compress(pcm)

    def silence(self) -> bytes:
        return self._silence


class G722Encoder:
    """Silence costs as much to encode as speech: after a while the last of it is sent again."""

    def __init__(self, packet_ms: int) -> None:
        self._quiet = bytes(pcm_bytes(packet_ms, 16_000))
        self._context = _context("w", len(self._quiet) // BYTES_PER_SAMPLE)
        self._silence = b""
        self._silent_frames = 0

    def encode(self, pcm: bytes) -> bytes:
        self._silent_frames = 0
        return self._compress(pcm)

    def silence(self) -> bytes:
        if self._silent_frames < _FRAMES_TO_SILENCE:
            self._silent_frames += 1
            self._silence = self._compress(self._quiet)
        return self._silence

    def _compress(self, pcm: bytes) -> bytes:
        packets = cast("list[av.Packet[Any]]", self._context.encode(frame_of(pcm, 16_000)))
        return b"".join(map(bytes, packets))


class OpusVoice:
    def __init__(self, libopus: Libopus, packet_ms: int) -> None:
        self._encoder = libopus.encoder(OPUS.spoken_hz)
        self._packet_ms = packet_ms

    def encode(self, pcm: bytes) -> bytes:
        return self._encoder.encode(pcm)

    def silence(self) -> bytes:
        return self._encoder.encode_silence(self._packet_ms)


def _context(mode: Literal["r", "w"], frame_samples: int = 0) -> AudioCodecContext:
    context = AudioCodecContext.create("g722", mode)
    context.sample_rate = 16_000
    context.layout = "mono"
    context.format = "s16"
    if mode == "w":
        context.time_base = Fraction(1, 16_000)
        context.options = {"frame_size": str(frame_samples)}
    context.open()
    return context
