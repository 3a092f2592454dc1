"""Sound as clients send and want it: PCM at 24 kHz or G.711 at 8 kHz, and back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Iterable
from typing import TypeVar

from parley.core.audio import Resampler
from parley.core.base64_pieces import decoded_pieces
from parley.core.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw
from parley.transports.realtime.session_form import PCM_RATE_HZ, FormatName
from parley.transports.realtime.wire import Fault

T = TypeVar("T")

G711_RATE_HZ = 8000
MOST_APPEND_BYTES = 15 * 1024 * 1024


def rate_of(format: FormatName) -> int:
    return PCM_RATE_HZ if format == "audio/pcm" else G711_RATE_HZ


def bytes_per_ms(format: FormatName) -> float:
    return PCM_RATE_HZ * 2 / 1000 if format == "audio/pcm" else G711_RATE_HZ / 1000


async def unpacked(text: str, param: str = "audio") -> list[bytes]:
    """Sound from base64, in pieces: what is done with megabytes of it is done a piece at a time,
    and others have their turn in between. Raises ``Fault``."""
    if len(text) // 4 * 3 > MOST_APPEND_BYTES + 2:
        raise Fault(
            f"One event brings at most {MOST_APPEND_BYTES} bytes of sound.",
            code="string_above_max_length",
            param=param,
        )
    pieces: list[bytes] = []
    try:
        async for piece in in_turns(decoded_pieces(text)):
            pieces.append(piece)
    except ValueError as error:
        raise Fault(f"audio is not base64: {error}.", param=param) from error
    return pieces


async def in_turns(pieces: Iterable[T]) -> AsyncGenerator[T]:
    """The pieces; behind each but the first the event loop goes round once."""
    for at, piece in enumerate(pieces):
        if at:
            await asyncio.sleep(0)
        yield piece


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
