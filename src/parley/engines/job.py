"""One utterance in a recogniser process, as whoever wants its words sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from parley.core.errors import EngineFailed
from parley.engines.wire import AUDIO, FAILED, FINAL, FINISH, pack


class Worker(Protocol):
    """The process that it is in."""

    async def send(self, message: bytes) -> None: ...

    def cancel(self, number: int) -> None: ...

    def forget(self, number: int) -> None: ...


class Job:
    """One utterance in a worker."""

    def __init__(self, worker: Worker, number: int) -> None:
        self._worker = worker
        self._number = number
        self._results: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self._is_over = False

    async def send(self, pcm: bytes) -> None:
        """Hand over some sound; waits while the worker is behind."""
        if not self._is_over:
            await self._worker.send(pack(AUDIO, self._number, pcm))

    async def finish(self) -> None:
        """No more sound will come; the final result is due."""
        if not self._is_over:
            await self._worker.send(pack(FINISH, self._number))

    async def results(self) -> AsyncIterator[tuple[str, bool]]:
        """Texts as they come, each with whether it is the final one; ends with that."""
        while True:
            kind, value = await self._results.get()
            if kind == FAILED:
                raise EngineFailed(f"The recogniser failed: {value}.", hint="Say it again.")
            yield value, kind == FINAL
            if kind == FINAL:
                return

    async def close(self) -> None:
        """Cancel the utterance if it is still going."""
        if not self._is_over:
            self._is_over = True
            self._worker.cancel(self._number)
        self._worker.forget(self._number)

    def deliver(self, kind: bytes, value: Any) -> None:
        self._is_over = self._is_over or kind in (FINAL, FAILED)
        self._results.put_nowait((kind, value))
