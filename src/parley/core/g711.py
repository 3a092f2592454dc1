"""G.711, the telephone's eight bits a sample at 8 kHz, to and from s16le (ITU-T G.711)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

# Eight segments, each with sixteen steps, twice as wide as those of the segment below.
_ULAW_BIAS = 132
_ULAW_TOP = 32635


# The tables hold every index that there is. "wrap" spares numpy looking whether that is so, which
# takes as long as the rest.


def from_ulaw(coded: bytes) -> bytes:
    return _ULAW.take(np.frombuffer(coded, dtype=np.uint8), mode="wrap").tobytes()


def from_alaw(coded: bytes) -> bytes:
    return _ALAW.take(np.frombuffer(coded, dtype=np.uint8), mode="wrap").tobytes()


def to_ulaw(pcm: bytes) -> bytes:
    return _to_ulaw_table().take(np.frombuffer(pcm, dtype=np.uint16), mode="wrap").tobytes()


def to_alaw(pcm: bytes) -> bytes:
    return _to_alaw_table().take(np.frombuffer(pcm, dtype=np.uint16), mode="wrap").tobytes()


def _every_sample() -> NDArray[np.int32]:
    """All that 16 bits can say, in the order of those bits read as a number."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


@cache
def _to_ulaw_table() -> NDArray[np.uint8]:
    wide = _every_sample()
    magnitude = np.minimum(np.abs(wide), _ULAW_TOP) + _ULAW_BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = (segment << 4) | ((magnitude >> (segment + 3)) & 15)
    return (~np.where(wide < 0, code | 0x80, code) & 0xFF).astype(np.uint8)


@cache
def _to_alaw_table() -> NDArray[np.uint8]:
    wide = _every_sample() >> 3
    magnitude = np.where(wide >= 0, wide, -wide - 1)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    return (np.where(wide >= 0, code | 0x80, code) ^ 0x55).astype(np.uint8)


def _ulaw_table() -> NDArray[np.int16]:
    codes = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (codes >> 4) & 7, codes & 15
    magnitude = ((step << 3) + _ULAW_BIAS << segment) - _ULAW_BIAS
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    codes = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = (codes >> 4) & 7, codes & 15
    low = (step << 4) + 8
    high = ((step << 4) + 0x108) << np.maximum(segment - 1, 0)
    magnitude = np.where(segment == 0, low, high)
    return np.where(codes & 0x80, magnitude, -magnitude).astype(np.int16)


_ULAW = _ulaw_table()
_ALAW = _alaw_table()
