"""Turns a stream of sound into a file's bytes, through one encoder that stays open."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Protocol, cast

import av
import numpy as np

from parley.core.audio import Audio, Resampler, pcm_bytes
from parley.core.errors import UnsupportedValue

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

RATE_HZ = 24_000
"""What clients expect of raw PCM, which can't say its rate."""

_MPEG_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
# The length of a stream that has not ended yet, as FFmpeg and its kin write and read it.
_UNKNOWN_LENGTH = 0xFFFFFFFF
# A hop to a thread and back, or a call of the resampler, costs as much as its work for 20 ms of
# sound. Only the first piece is not held back.
_LEAST_MS = 100


class Packer(Protocol):
    """Makes bytes of PCM; called in order, from any thread."""

    def add(self, pcm: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class RawPacker:
    """Samples as they are, behind a header."""

    def __init__(self, header: bytes = b"") -> None:
        self._header = header

    def add(self, pcm: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + pcm

    def finish(self) -> bytes:
        return self.add(b"")


class _Sink:
    """What a muxer writes to; it can't seek, so headers don't wait for the end."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


@dataclass(frozen=True)
class _Codec:
    """An FFmpeg container and encoder. ``rates_hz`` is empty where any rate will do."""

    container: str
    encoder: str
    media_type: str
    bit_rate: int = 0
    rates_hz: Sequence[int] = ()
    container_options: Mapping[str, str] = field(default_factory=dict[str, str])
    encoder_options: Mapping[str, str] = field(default_factory=dict[str, str])


_CODECS: Mapping[str, _Codec] = {
    "mp3": _Codec(
        "mp3",
        "libmp3lame",
        "audio/mpeg",
        64_000,
        _MPEG_RATES,
        {"write_xing": "0", "id3v2_version": "0"},
        {"compression_level": "7", "reservoir": "0"},
    ),
    "opus": _Codec(
        "ogg",
        "libopus",
        "audio/ogg; codecs=opus",
        48_000,
        _OPUS_RATES,
        # In microseconds; a player hears nothing before the first page.
        {"page_duration": "100000"},
        {"application": "voip", "compression_level": "5"},
    ),
    "aac": _Codec("adts", "aac", "audio/aac", 64_000, _MPEG_RATES, {}, {"aac_coder": "fast"}),
    "flac": _Codec("flac", "flac", "audio/flac", encoder_options={"compression_level": "5"}),
}
_MEDIA_TYPES = {"wav": "audio/wav", "pcm": "audio/pcm"}


class CodecPacker:
    """An FFmpeg encoder and the container around it."""

    def __init__(self, codec: _Codec, rate_hz: int) -> None:
        self._sink = _Sink()
        self._rate_hz = rate_hz
        self._sent = 0
        self._container = av.open(
            self._sink, "w", format=codec.container, options=dict(codec.container_options)
        )
        # PyAV's stubs know only the encoders that they list.
        add_stream: Any = cast(Any, self._container).add_stream
        self._stream: av.AudioStream = add_stream(
            codec.encoder, rate=rate_hz, options=dict(codec.encoder_options)
        )
        context = self._stream.codec_context
        context.layout = "mono"
        context.thread_count = 1
        if codec.bit_rate:
            context.bit_rate = codec.bit_rate

    def add(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, dtype=np.int16)
        if len(samples):
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
            frame.sample_rate = self._rate_hz
            frame.time_base = Fraction(1, self._rate_hz)
            frame.pts = self._sent
            self._sent += len(samples)
            self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()


class SpeechEncoder:
    """One reply's sound as a file that grows. ``media_type`` is what it is."""

    def __init__(self, wanted: SpeechFormat, rate_hz: int = 0) -> None:
        self.media_type = media_type(wanted)
        self.rate_hz = _rate_for(wanted, rate_hz or RATE_HZ)
        self.duration_ms = 0.0
        self._codec = _CODECS.get(wanted)
        self._format = wanted
        self._packer: Packer | None = None
        self._resampler: Resampler | None = None
        self._held = bytearray()
        self._held_hz = 0

    async def open(self) -> None:
        """Open the codec, which takes milliseconds, while the engine makes up its mind."""
        if self._codec is not None:
            await asyncio.to_thread(self._opened)

    async def add(self, sound: Audio) -> bytes:
        """What can be sent once this has been said; often nothing yet."""
        self.duration_ms += sound.duration_ms
        packed = b""
        if sound.rate_hz != self._held_hz:
            # Another engine took over, or this is the first word.
            packed = await self._packed() if self._held else b""
            self._held_hz = sound.rate_hz
        self._held += sound.pcm
        if self._resampler and len(self._held) < pcm_bytes(_LEAST_MS, self._held_hz):
            return packed
        return packed + await self._packed()

    async def finish(self) -> bytes:
        """The rest of the file."""
        if self._codec is None:
            return self._packed_now() + self._finish_now()
        return await asyncio.to_thread(self._packed_now) + await asyncio.to_thread(self._finish_now)

    async def _packed(self) -> bytes:
        if self._codec is None:
            return self._packed_now()
        return await asyncio.to_thread(self._packed_now)

    def _packed_now(self) -> bytes:
        pcm = bytes(self._held)
        self._held.clear()
        tail = b""
        if self._resampler is None or self._resampler.from_hz != self._held_hz:
            tail = self._resampler.flush() if self._resampler else b""
            self._resampler = Resampler(self._held_hz or self.rate_hz, self.rate_hz)
        return self._opened().add(tail + self._resampler.push(pcm))

    def _finish_now(self) -> bytes:
        tail = self._resampler.flush() if self._resampler else b""
        packer = self._opened()
        return packer.add(tail) + packer.finish()

    def _opened(self) -> Packer:
        if self._packer is None:
            self._packer = self._open()
        return self._packer

    def _open(self) -> Packer:
        if self._codec is not None:
            return CodecPacker(self._codec, self.rate_hz)
        return RawPacker(_wav_header(self.rate_hz) if self._format == "wav" else b"")


def media_type(wanted: SpeechFormat) -> str:
    codec = _CODECS.get(wanted)
    return codec.media_type if codec else _MEDIA_TYPES[wanted]


def _rate_for(wanted: SpeechFormat, rate_hz: int) -> int:
    codec = _CODECS.get(wanted)
    if codec is None or not codec.rates_hz or rate_hz in codec.rates_hz:
        return rate_hz
    allowed = ", ".join(str(rate) for rate in codec.rates_hz)
    raise UnsupportedValue(
        f"{wanted} can't have a sample rate of {rate_hz} Hz.",
        hint=f"Take one of {allowed}.",
        param="sample_rate",
    )


def _wav_header(rate_hz: int) -> bytes:
    """The header of a WAV file whose length nobody knows yet: s16le, mono."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    start = struct.pack("<4sI4s", b"RIFF", _UNKNOWN_LENGTH, b"WAVE")
    return start + form + struct.pack("<4sI", b"data", _UNKNOWN_LENGTH)
