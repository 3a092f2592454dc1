"""Which frames to decode together, so that pieces decoded one by one fit without a gap.

SNAC is purely convolutional: what a frame sounds like depends on 2.32 frames to each side and on
nothing beyond. A frame that is decoded with three known neighbours on both sides is exact; two
behind it leave an error of some -80 dB.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parley.engines.tts.orpheus.codes import FRAME_MS, FRAME_SAMPLES, Frame

CONTEXT = 3
LOOK_AHEAD = 2
BIGGEST_BATCH = 8

Codes = npt.NDArray[np.int64]
"""Frames of codes, shape (frames, 7)."""
Sound = npt.NDArray[np.float32]
"""Samples from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Frames to decode, and which of them to keep: ``keep`` after the first ``skip``."""

    codes: Codes
    skip: int
    keep: int

    def cut(self, sound: Sound) -> Sound:
        """What to keep of the decoded slice."""
        return sound[self.skip * FRAME_SAMPLES : (self.skip + self.keep) * FRAME_SAMPLES]


class FrameWindow:
    """Gathers frames and says what can be decoded: first one frame, then 2, 4 and 8 at a time.

    A bigger batch costs the decoder less but makes the listener wait for it, so it is taken only
    when the sound given out so far lasts until it is full. It holds no more than a batch and its
    neighbours. ``clock_s`` gives seconds.
    """

    def __init__(
        self,
        *,
        look_ahead: int = LOOK_AHEAD,
        first_look_ahead: int | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_ahead = look_ahead
        self._first_look_ahead = look_ahead if first_look_ahead is None else first_look_ahead
        self._clock_s = clock_s
        self._frames: list[Frame] = []
        self._sent = 0
        """How many of ``_frames`` have been given out; they stay as context."""
        self._given = 0
        self._batch = 1
        self._heard_until_s = 0.0
        self._first_frame_s = 0.0
        self._arrived = 0

    def push(self, frame: Frame) -> None:
        if not self._arrived:
            self._first_frame_s = self._clock_s()
        self._arrived += 1
        self._frames.append(frame)

    def ready(self) -> Slice | None:
        """The next slice once enough frames are known to decode it."""
        look_ahead = self._look_ahead if self._given else self._first_look_ahead
        able = len(self._frames) - self._sent - look_ahead
        if able < self._wanted():
            return None
        return self._take(min(able, BIGGEST_BATCH), look_ahead)

    def flush(self) -> Slice | None:
        """The rest, once no more frames will come; None when there is none left."""
        left = len(self._frames) - self._sent
        if not left:
            return None
        return self._take(left, 0)

    def _wanted(self) -> int:
        """The biggest batch that comes before the listener has heard what was given out.

        Whoever is late already takes big ones: they leave the decoder time to catch up.
        """
        if not self._given:
            return 1
        now_s = self._clock_s()
        ahead_s = self._heard_until_s - now_s
        frame_s = (now_s - self._first_frame_s) / max(self._arrived - 1, 1)
        batch = self._batch
        while ahead_s > 0 and batch > 1 and batch * frame_s > ahead_s:
            batch //= 2
        return batch

    def _take(self, keep: int, look_ahead: int) -> Slice:
        # No more than asked for, even if there is: slices of one length are decoded together.
        codes = np.array(self._frames[: self._sent + keep + look_ahead], np.int64)
        taken = Slice(codes, self._sent, keep)
        self._sent += keep
        drop = max(self._sent - CONTEXT, 0)
        del self._frames[:drop]
        self._sent -= drop
        self._given += keep
        self._batch = min(self._batch * 2, BIGGEST_BATCH)
        now_s = self._clock_s()
        self._heard_until_s = max(self._heard_until_s, now_s) + keep * FRAME_MS / 1000
        return taken
