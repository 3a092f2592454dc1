"""Sound as clients send and want it: PCM at 24 kHz or G.711 at 8 kHz, and back."""

from __future__ import annotations

import base64
import binascii

from parley.core.audio import Resampler
from parley.core.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw
from parley.transports.realtime.session_form import PCM_RATE_HZ, FormatName
from parley.transports.realtime.wire import Fault

G711_RATE_HZ = 8000
MOST_APPEND_BYTES = 15 * 1024 * 1024


def rate_of(format: FormatName) -> int:
    return PCM_RATE_HZ if format == "audio/pcm" else G711_RATE_HZ


def bytes_per_ms(format: FormatName) -> float:
    return PCM_RATE_HZ * 2 / 1000 if format == "audio/pcm" else G711_RATE_HZ / 1000


def unpacked(text: object, param: str = "audio") -> bytes:
    """Bytes from base64. Raises ``Fault``."""
    if not isinstance(text, str):
        raise Fault("audio is a base64 string.", param=param)
    try:
        sound = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Fault(f"audio is not base64: {error}.", param=param) from error
    if len(sound) > MOST_APPEND_BYTES:
        raise Fault(
            f"One event brings at most {MOST_APPEND_BYTES} bytes of sound.",
            code="string_above_max_length",
            param=param,
        )
    return sound


def packed(sound: bytes) -> str:
    return base64.b64encode(sound).decode("ascii")


class Decoder:
    """A client's sound as s16le at ``rate_hz``, whatever pieces it comes in."""

    def __init__(self, format: FormatName, rate_hz: int) -> None:
        self.format: FormatName = format
        self._resampler = Resampler(rate_of(format), rate_hz)
        self._odd = b""

    def push(self, sound: bytes) -> bytes:
        if self.format == "audio/pcm":
            sound = self._odd + sound
            whole = len(sound) // 2 * 2
            sound, self._odd = sound[:whole], sound[whole:]
            return self._resampler.push(sound) if sound else b""
        linear = from_ulaw(sound) if self.format == "audio/pcmu" else from_alaw(sound)
        return self._resampler.push(linear)

    def flush(self) -> bytes:
        return self._resampler.flush()


class Encoder:
    """Speech at 24 kHz as the client wants it."""

    def __init__(self, format: FormatName) -> None:
        self.format: FormatName = format
        self._resampler = Resampler(PCM_RATE_HZ, rate_of(format))

    def push(self, pcm: bytes) -> bytes:
        return self._coded(self._resampler.push(pcm))

    def flush(self) -> bytes:
        return self._coded(self._resampler.flush())

    def _coded(self, pcm: bytes) -> bytes:
        if self.format == "audio/pcm":
            return pcm
        return to_ulaw(pcm) if self.format == "audio/pcmu" else to_alaw(pcm)
