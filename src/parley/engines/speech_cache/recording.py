"""One synthesis in progress that any number of listeners hear from its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from parley.core.audio import Audio
from parley.engines.speech_cache.take import Take


class Recording:
    """Runs while somebody listens: who came first may leave; when the last does, it stops.

    ``finished`` is told of the whole take, and never of a part.
    """

    def __init__(self, sounds: AsyncIterator[Audio], finished: Callable[[Take], None]) -> None:
        self._sounds = sounds
        self._finished = finished
        self._pieces: list[Audio] = []
        self._listeners = 0
        self._is_over = False
        self._error: Exception | None = None
        self._grown = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    @property
    def can_be_joined(self) -> bool:
        return not self._is_over

    async def listen(self) -> AsyncGenerator[Audio]:
        """All of it from the beginning, as it comes. Raises what the engine raised."""
        self._listeners += 1
        if self._work is None:
            self._work = asyncio.create_task(self._run(), name="speech")
        try:
            heard = 0
            while True:
                while heard < len(self._pieces):
                    heard += 1
                    yield self._pieces[heard - 1]
                if self._is_over:
                    break
                await self._grown.wait()
            if self._error is not None:
                raise self._error
        finally:
            self._listeners -= 1
            if not self._listeners:
                await self._stop()

    async def _run(self) -> None:
        try:
            async for piece in self._sounds:
                self._pieces.append(piece)
                self._wake()
            self._finished(Take(tuple(self._pieces)))
        except Exception as error:
            # Each listener raises it, when it has heard what came before.
            self._error = error
        finally:
            self._is_over = True
            self._wake()
            close: Callable[[], Awaitable[None]] | None = getattr(self._sounds, "aclose", None)
            if close is not None:
                await close()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def _stop(self) -> None:
        self._is_over = True
        if self._work is not None and not self._work.done():
            self._work.cancel()
            await asyncio.wait([self._work])
