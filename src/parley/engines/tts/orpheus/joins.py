"""Trims the silence that the model leaves at the edges of a take, and rounds the edges off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parley.engines.tts.orpheus.codes import RATE_HZ
from parley.engines.tts.orpheus.window import Sound

QUIET = 0.004
"""RMS below which 5 ms count as silence (-48 dBFS)."""
LEAD_MS = 10
HELD_MS = 300
LONGEST_MS = 1000
"""A silence inside a take that is longer is cut down to this."""

_BLOCK = RATE_HZ * 5 // 1000
_LEAST_ENERGY = QUIET * QUIET * _BLOCK
_LEAD = RATE_HZ * LEAD_MS // 1000
_HELD = RATE_HZ * HELD_MS // 1000
_LONGEST = RATE_HZ * LONGEST_MS // 1000
_RISE = np.linspace(0.0, 1.0, _BLOCK, dtype=np.float32)


class EdgeTrim:
    """One take's sound, piece by piece: begins and ends with sound, faded over 5 ms.

    A short silence waits until it is known whether sound follows. ``silent_ms`` is how long it
    has been silent up to now, heard or not.
    """

    def __init__(self) -> None:
        self._held: Sound = np.zeros(0, np.float32)
        self._has_begun = False
        self._silent = 0
        """Samples of the silence going on that are not in ``_held`` any more."""
        self._end = 0
        """Up to where ``_held`` is sound."""

    @property
    def silent_ms(self) -> float:
        return (self._silent + len(self._held) - self._end) * 1000 / RATE_HZ

    def push(self, sound: Sound) -> Sound:
        """What can be heard already."""
        self._held = np.concatenate((self._held, sound))
        if not self._has_begun and not self._begin():
            return self._held[:0]
        end = self._end = _sound_end(self._held)
        if end:
            self._silent = 0
        excess = len(self._held) - end - _HELD
        if excess <= 0:
            return self._drop(max(end - _BLOCK, 0))
        room = max(_LONGEST - self._silent, 0)
        self._silent += excess
        return self._drop(end + excess)[: end + room]

    def finish(self) -> Sound:
        """The last of the sound; the silence behind it is gone."""
        if not self._has_begun:
            return self._held[:0]
        last = self._held[: self._end].copy()
        if len(last) >= _BLOCK:
            last[-_BLOCK:] *= _RISE[::-1]
        return last

    def _begin(self) -> bool:
        loud = _loud_blocks(self._held)
        if not len(loud):
            spare = max(len(self._held) // _BLOCK * _BLOCK - _LEAD, 0)
            self._silent += spare
            self._drop(spare)
            return False
        self._has_begun = True
        self._drop(max(int(loud[0]) * _BLOCK - _LEAD, 0))
        self._held[:_BLOCK] *= _RISE[: len(self._held)]
        return True

    def _drop(self, samples: int) -> Sound:
        dropped, self._held = self._held[:samples], self._held[samples:].copy()
        self._end = max(self._end - samples, 0)
        return dropped


def _sound_end(held: Sound) -> int:
    """Up to where it is sound."""
    loud = _loud_blocks(held)
    return min((int(loud[-1]) + 1) * _BLOCK, len(held)) if len(loud) else 0


def _loud_blocks(held: Sound) -> npt.NDArray[np.intp]:
    """The numbers of the blocks that are no silence. The first sound waits for this."""
    whole = len(held) // _BLOCK
    blocks = held[: whole * _BLOCK].reshape(whole, _BLOCK)
    loud = np.flatnonzero(np.einsum("ij,ij->i", blocks, blocks) > _LEAST_ENERGY)
    rest = held[whole * _BLOCK :]
    return np.append(loud, whole) if np.dot(rest, rest) > _LEAST_ENERGY else loud
