"""Worker processes for recognisers that hold the interpreter's lock, shared by all calls.

In a thread such a recogniser freezes the media of every call for seconds; in a process of its
own it costs a few pipes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from parley.core.errors import EngineUnavailable
from parley.engines.job import Job
from parley.engines.minded_worker import ANSWER_LIMIT_S, MindedWorker, Notes

__all__ = ["Job", "WorkerPool"]


class WorkerPool:
    """A few processes that each run the class at ``target`` ("package.module:Class").

    ``options`` goes to its constructor. A worker that dies, or says nothing for
    ``answer_limit_s``, is replaced, and the utterances it had fail at once with ``EngineFailed``;
    the others notice nothing.
    """

    def __init__(
        self,
        target: str,
        options: dict[str, Any],
        *,
        size: int,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        notes = Notes()
        self._workers = [
            MindedWorker(number, target, options, notes, answer_limit_s) for number in range(size)
        ]
        self._started = asyncio.Lock()

    async def start(self) -> None:
        """Start all workers and wait until their models are loaded."""
        async with self._started:
            await asyncio.gather(*(worker.start() for worker in self._workers))

    async def close(self) -> None:
        await asyncio.gather(*(worker.close() for worker in self._workers))

    @property
    def is_healthy(self) -> bool:
        return all(worker.is_ready for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    async def open(self, options: dict[str, Any]) -> Job:
        """Begin an utterance at the worker that has the fewest."""
        if not self.is_healthy:
            await self._start_some()
        ready = [worker for worker in self._workers if worker.is_ready]
        if not ready:
            raise EngineUnavailable(
                "No recogniser process is running.", hint="The log says why; it is retried."
            )
        return await min(ready, key=lambda worker: worker.load).open(options)

    async def _start_some(self) -> None:
        """Nobody waits for a worker that starts while another one is ready."""
        if any(worker.is_ready for worker in self._workers):
            for worker in self._workers:
                worker.begin()
        else:
            await self.start()
