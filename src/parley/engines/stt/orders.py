"""The frames that tell a live recogniser how to hear the sound behind them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pipecat.frames.frames import ControlFrame

# Voice activity is confirmed this long after the first sound, and words begin softly.
PREROLL_MS = 500


@dataclass
class HearingOrder(ControlFrame):
    """Something about the sound that comes behind it. Sound overtakes all other frames, so whoever
    gives the order waits until it is ``taken`` before more sound comes."""

    taken: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    interruptible: bool = field(default=False, init=False)


@dataclass
class ListenFrame(HearingOrder):
    """How to listen from here on. With ``commits`` all sound is one utterance until a
    ``CommitFrame`` comes; else voice activity parts it, each with ``preroll_ms`` before it. With
    ``keeps_all`` a recogniser that is behind loses nothing: sound may come faster than it was
    spoken."""

    commits: bool = False
    keeps_all: bool = False
    preroll_ms: int = PREROLL_MS


@dataclass
class CommitFrame(HearingOrder):
    """The utterance ends here; it comes out behind what was understood."""

    item_id: str = ""


@dataclass
class EndTurnFrame(HearingOrder):
    """What is being said ends here, though voice activity goes on; it comes out behind what was
    understood. ``had_turn``: whether a turn was ended by it, None until that is known."""

    had_turn: bool | None = None


@dataclass
class DiscardFrame(HearingOrder):
    """What has been said since the last utterance is to be forgotten."""


@dataclass
class AfterSpeechFrame(ControlFrame):
    """Something that may not overtake what the caller said before it."""
