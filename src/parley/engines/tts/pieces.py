"""Cuts a clause's sound, as it comes, into pieces that begin and end where words do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

QUIETEST_SOUND = 90
"""Samples below this (-51 dBFS) count as silence."""

PIECE_MS = 40
LEAD_MS = 3
HELD_MS = 20


@dataclass(frozen=True, slots=True)
class Border:
    """At ``sample`` the sound goes over to the word that stands at ``position`` in the text."""

    sample: int
    position: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sound, and up to which position the text has been spoken when it ends."""

    samples: Samples
    spoken_to: int


class ClauseCutter:
    """Takes one clause's sound and word borders; gives it out trimmed and cut.

    With ``trims_start`` silence at the start goes; inside a text it belongs to the speech, as
    the stop before a k does. The last ``HELD_MS`` of sound stay back until more comes, so that
    the clause's last words end with its last sound and not with the silence behind it.
    """

    def __init__(self, rate_hz: int, spoken_to: int, *, trims_start: bool = True) -> None:
        self._piece = rate_hz * PIECE_MS // 1000
        self._lead = rate_hz * LEAD_MS // 1000
        self._held = rate_hz * HELD_MS // 1000
        self._waiting: Samples = np.zeros(0, np.int16)
        self._at = 0
        self._trims_start = trims_start
        self._has_begun = False
        self._borders: deque[Border] = deque()
        self._spoken_to = spoken_to

    def push(self, samples: Samples, borders: Sequence[Border]) -> Iterator[Piece]:
        self._borders.extend(borders)
        self._waiting = np.concatenate((self._waiting, samples))
        loud = self._loud()
        if not self._has_begun:
            silent = int(loud[0]) if len(loud) else len(self._waiting)
            self._has_begun = bool(len(loud))
            if self._trims_start:
                self._drop(max(silent - self._lead, 0))
            loud = self._loud()
        if len(loud):
            yield from self._give(int(loud[-1]) + 1 - self._held, crumb=self._piece // 2)

    def finish(self, spoken_to: int, pause: int) -> Iterator[Piece]:
        """What was held back, its words, and at most ``pause`` samples of the silence behind."""
        loud = self._loud()
        sound = int(loud[-1]) + 1 if len(loud) else 0
        while self._borders and self._borders[-1].sample >= self._at + sound:
            self._borders.pop()
        self._borders.append(Border(self._at + sound, spoken_to))
        yield from self._give(sound, crumb=0)
        silence = self._waiting[:pause] if self._has_begun else self._waiting[:0]
        for at in range(0, len(silence), self._piece):
            yield Piece(silence[at : at + self._piece], spoken_to)

    def _give(self, until: int, crumb: int) -> Iterator[Piece]:
        while until > 0:
            cut = min(until, self._piece)
            if self._borders and self._borders[0].sample - self._at <= cut:
                border = self._borders.popleft()
                cut = max(border.sample - self._at, 0)
                self._spoken_to = max(self._spoken_to, border.position)
            elif cut < crumb:
                return
            if cut:
                yield Piece(self._waiting[:cut], self._spoken_to)
                self._drop(cut)
                until -= cut

    def _loud(self) -> npt.NDArray[np.intp]:
        sound = self._waiting
        return np.flatnonzero((sound > QUIETEST_SOUND) | (sound < -QUIETEST_SOUND))

    def _drop(self, samples: int) -> None:
        self._waiting = self._waiting[samples:]
        self._at += samples
