"""How long an engine may take at each step before the next one in its chain is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageLimits:
    """The time limits of one stage, in seconds.

    ``first_s``: until the first result (a recogniser's: from when the caller has stopped, and the
    time it may take to accept the first sound). ``gap_s``: between two results, and how far a
    reply may fall behind the ear in all. ``patience_s``: how long the whole chain may take until
    something comes; the last engine of a chain is given what is left of it.
    """

    first_s: float
    gap_s: float
    patience_s: float


@dataclass(frozen=True, slots=True)
class ChainLimits:
    """The limits of the three stages. A hang costs the caller ``first_s`` of silence, once."""

    stt: StageLimits = StageLimits(first_s=2.0, gap_s=2.0, patience_s=5.0)
    llm: StageLimits = StageLimits(first_s=4.0, gap_s=3.0, patience_s=18.0)
    tts: StageLimits = StageLimits(first_s=2.5, gap_s=1.5, patience_s=12.0)


USUAL_LIMITS = ChainLimits()
