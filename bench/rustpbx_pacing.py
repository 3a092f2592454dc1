"""How evenly a voice came: each piece against the clock that it should have come by."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from bench.figures import Figure, median, percentile
from bench.rustpbx_caller import PieceEar
from bench.speech import PACKET_MS

# A piece is never sent before its turn; the way to here takes a little more or less.
_MOST_EARLY_MS = 5.0


@dataclass
class Paced:
    """``errors_ms``, ``leads_ms``: of each piece. ``skipped``: turns at which nothing came."""

    errors_ms: list[float] = field(default_factory=list[float])
    leads_ms: list[float] = field(default_factory=list[float])
    skipped: int = 0
    wrong_pieces: int = 0

    def add(self, ear: PieceEar) -> None:
        for arrivals_s in ear.utterances:
            errors_ms, skipped = against_the_clock(arrivals_s)
            self.errors_ms += errors_ms
            self.skipped += skipped
            self.leads_ms += leads_ms(arrivals_s)
        self.wrong_pieces += ear.wrong_pieces

    def figures(self, prefix: str = "") -> dict[str, Figure]:
        turns = len(self.errors_ms) + self.skipped
        return {
            f"{prefix}pacing_p99_ms": percentile(self.errors_ms, 0.99),
            f"{prefix}pacing_p50_ms": median(self.errors_ms),
            f"{prefix}lead_max_ms": max(self.leads_ms, default=math.nan),
            f"{prefix}skipped_share": self.skipped / turns if turns else math.nan,
            f"{prefix}pieces": len(self.errors_ms),
            f"{prefix}wrong_pieces": self.wrong_pieces,
        }


def against_the_clock(arrivals_s: Sequence[float]) -> tuple[list[float], int]:
    """How far each piece of an utterance came from its turn on the sender's 20 ms clock; and how
    many turns nothing was sent at, for there was nothing to say yet.

    What is late and made up for is late; a turn was missed where all that came later is later.
    """
    off_ms = [at_s * 1000 - number * PACKET_MS for number, at_s in enumerate(arrivals_s)]
    phase_ms = _phase_ms(off_ms)
    late_ms = [each - phase_ms for each in off_ms]
    missed = [math.floor((late + _MOST_EARLY_MS) / PACKET_MS) for late in late_ms]
    missed = list(accumulate(reversed(missed), min))[::-1]
    errors_ms = [
        abs(late - before * PACKET_MS) for late, before in zip(late_ms, missed, strict=True)
    ]
    return errors_ms, missed[-1] - missed[0] if missed else 0


def _phase_ms(came_ms: Sequence[float]) -> float:
    """Where in every 20 ms the turns are: most pieces are in time."""
    turns = [cmath.exp(2j * math.pi * at_ms / PACKET_MS) for at_ms in came_ms]
    rough_ms = cmath.phase(sum(turns)) / (2 * math.pi) * PACKET_MS
    off_ms = [math.remainder(at_ms - rough_ms, PACKET_MS) for at_ms in came_ms]
    return rough_ms + median(off_ms)


def leads_ms(arrivals_s: Sequence[float]) -> list[float]:
    """How much sound, with each piece, had come before it could be played: whoever plays from the
    first piece on, one after the other."""
    return [
        max(0.0, number * PACKET_MS - (at_s - arrivals_s[0]) * 1000)
        for number, at_s in enumerate(arrivals_s)
    ]
