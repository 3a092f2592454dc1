"""A WAV file while it arrives: the header is read, and the sound given out piece by piece."""

from __future__ import annotations

import struct

import numpy as np

from parley.core.audio import Audio
from parley.core.errors import EngineFailed

_PCM, _EXTENSIBLE = 1, 0xFFFE
_LONGEST_HEADER = 1 << 16


class WavStream:
    """Give it bytes as they come; it gives s16le mono in whole samples.

    Lengths in headers are not trusted: servers that stream write 0 or the largest number. Raises
    ``EngineFailed`` for what is no WAV file of 16-bit PCM in one or two channels.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._waiting = bytearray()
        self._rate_hz = 0
        self._channels = 0
        self._left: int | None = None
        self._is_in_sound = False

    @property
    def rate_hz(self) -> int:
        """0 until the header has been read."""
        return self._rate_hz

    def push(self, data: bytes) -> Audio | None:
        self._waiting += data
        if not self._is_in_sound and not self._read_header():
            return None
        return self._sound()

    def end(self) -> None:
        """Nothing more comes. Raises ``EngineFailed`` if there was no whole header."""
        if not self._is_in_sound:
            raise self._nonsense("ended within its header")

    def _read_header(self) -> bool:
        """Whether the sound begins at the front of what waits."""
        start = bytes(self._waiting[:12])
        if len(start) == 12 and (start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE"):
            raise self._nonsense("is no WAV file")
        at = 12
        while len(self._waiting) >= at + 8:
            name, size = struct.unpack_from("<4sI", self._waiting, at)
            if name == b"data":
                if not self._rate_hz:
                    raise self._nonsense("has sound before its format")
                del self._waiting[: at + 8]
                self._left = size if 0 < size < 0x7FFFFFFF else None
                self._is_in_sound = True
                return True
            if name == b"fmt " and len(self._waiting) >= at + 8 + 16:
                self._read_format(at + 8)
            at += 8 + size + size % 2
        if len(self._waiting) > _LONGEST_HEADER:
            raise self._nonsense("has no sound")
        return False

    def _read_format(self, at: int) -> None:
        kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", self._waiting, at)
        if kind not in (_PCM, _EXTENSIBLE) or bits != 16 or channels not in (1, 2) or not rate_hz:
            raise self._nonsense(f"is {bits}-bit sound of kind {kind} in {channels} channels")
        self._channels, self._rate_hz = channels, rate_hz

    def _sound(self) -> Audio | None:
        frame = 2 * self._channels
        size = len(self._waiting)
        if self._left is not None:
            size = min(size, self._left)
        size -= size % frame
        if not size:
            return None
        pcm = bytes(self._waiting[:size])
        if self._left is None:
            del self._waiting[:size]
        else:
            self._left -= size
            # What follows the sound is labels.
            del self._waiting[: size if self._left >= frame else len(self._waiting)]
        return Audio(mono(pcm) if self._channels == 2 else pcm, self._rate_hz)

    def _nonsense(self, what: str) -> EngineFailed:
        return EngineFailed(f"The sound that {self._engine} sent {what}.")


def mono(stereo: bytes) -> bytes:
    """Two channels of s16le as one."""
    samples = np.frombuffer(stereo, np.int16).reshape(-1, 2)
    return samples.mean(axis=1).astype(np.int16).tobytes()
