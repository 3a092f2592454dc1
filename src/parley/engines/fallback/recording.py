"""One utterance, kept while it is heard, so that another engine can hear it from the beginning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from parley.core.audio import Audio
from parley.core.errors import EngineFailed

# 120 s at 16 kHz are 3.8 MB. Longer sound is heard by whoever has heard it so far.
LONGEST_S = 120.0


class Recording:
    """Reads the sound of one utterance as it comes. Use it as an async context manager.

    An engine that is given up would end the source with it: an async generator that is cancelled
    while it waits is over for everybody. So a task of the recording's own reads it.
    ``changed`` is called when the first sound is taken and when the utterance is over.
    """

    def __init__(self, source: AsyncIterator[Audio], *, longest_s: float = LONGEST_S) -> None:
        self.changed: Callable[[], None] = _nobody
        self.is_taken = False
        self.over_s: float | None = None
        self.duration_s = 0.0
        self._source = source
        self._longest_s = longest_s
        self._pieces: list[Audio] = []
        self._dropped = 0
        self._more = asyncio.Event()
        self.error: Exception | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Recording:
        self._reading = asyncio.create_task(self._read(), name="utterance")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def has_begun(self) -> bool:
        """Whether there has been any sound."""
        return bool(self._pieces or self._dropped)

    def from_start(self) -> AsyncIterator[Audio]:
        """The whole utterance: what there is at once, the rest as it comes."""
        return _Playback(self)

    async def piece(self, position: int) -> Audio | None:
        """The piece at a position, as soon as there is one; None behind the last."""
        while position - self._dropped >= len(self._pieces):
            if self.over_s is not None:
                if self.error is not None:
                    raise self.error
                return None
            self._more.clear()
            await self._more.wait()
        if position < self._dropped:
            raise EngineFailed(
                f"The first of more than {self._longest_s:g} s of speech can't be heard again."
            )
        if not self.is_taken:
            self.is_taken = True
            self.changed()
        return self._pieces[position - self._dropped]

    async def _read(self) -> None:
        try:
            async for piece in self._source:
                self._pieces.append(piece)
                self.duration_s += piece.duration_ms / 1000
                while self.duration_s > self._longest_s and len(self._pieces) > 1:
                    self.duration_s -= self._pieces.pop(0).duration_ms / 1000
                    self._dropped += 1
                if len(self._pieces) == 1 and not self._dropped:
                    self.changed()
                self._more.set()
        except Exception as error:
            # Whoever listens is told: broken audio is the asker's affair.
            self.error = error
        self.over_s = time.monotonic()
        self._more.set()
        self.changed()


class _Playback:
    """Not a generator: an engine may be cancelled while it waits for sound."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._position = 0

    def __aiter__(self) -> _Playback:
        return self

    async def __anext__(self) -> Audio:
        piece = await self._recording.piece(self._position)
        if piece is None:
            raise StopAsyncIteration
        self._position += 1
        return piece


def _nobody() -> None:
    return None
