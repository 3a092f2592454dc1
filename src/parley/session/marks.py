"""Marks that travel with the agent's voice and tell when it has been heard that far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pipecat.frames.frames import DataFrame, TTSAudioRawFrame, TTSStoppedFrame

from parley.core.audio import Audio, pcm_bytes
from parley.session.worker import CallWorker

PIECE_MS = 200


@dataclass
class MarkFrame(DataFrame):
    """Behind what was said before it; an interruption throws that away, but not the mark."""

    passed: asyncio.Event = field(default_factory=asyncio.Event)
    interruptible: bool = field(default=False, init=False)


@dataclass
class HeardFrame(DataFrame):
    """A mark that an interruption throws away with what is before it."""

    passed: asyncio.Event = field(default_factory=asyncio.Event)


async def heard_so_far(worker: CallWorker) -> None:
    """Return when everything that was said before has been heard, or interrupted."""
    mark = MarkFrame()
    await worker.queue_frame(mark)
    await mark.passed.wait()


async def play(worker: CallWorker, sound: Audio, *, interruptible: bool) -> bool:
    """Play it behind what is being said; whether it was heard to its end."""
    step = pcm_bytes(PIECE_MS, sound.rate_hz)
    for start in range(0, len(sound.pcm), step):
        # As speech with an end to it: pauses in it are no ends, and whoever waits for the agent to
        # fall silent need not guess.
        piece = TTSAudioRawFrame(sound.pcm[start : start + step], sound.rate_hz, 1)
        piece.interruptible = interruptible
        await worker.queue_frame(piece)
    end, heard, mark = TTSStoppedFrame(), HeardFrame(), MarkFrame()
    end.interruptible = heard.interruptible = interruptible
    await worker.queue_frame(end)
    await worker.queue_frame(heard)
    await worker.queue_frame(mark)
    await mark.passed.wait()
    return heard.passed.is_set()
