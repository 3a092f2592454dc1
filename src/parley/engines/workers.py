"""Worker processes for recognisers that hold the interpreter's lock, shared by all calls.

In a thread such a recogniser freezes the media of every call for seconds; in a process of its
own it costs a few pipes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from parley.core.errors import EngineFailed, EngineUnavailable
from parley.core.log import get_logger
from parley.engines.wire import (
    AUDIO,
    CANCEL,
    FAILED,
    FINAL,
    FINISH,
    HEADER,
    OPEN,
    READY,
    pack,
    pack_json,
)

log = get_logger(__name__)

START_LIMIT_S = 60.0
STOP_LIMIT_S = 3.0
# A worker that dies this often in a row while starting will not get well by itself.
MAX_FAILED_STARTS = 3


class WorkerPool:
    """A few processes that each run the class at ``target`` ("package.module:Class").

    ``options`` goes to its constructor. A worker that dies is started again, and the utterances
    it had fail at once with ``EngineFailed``; the others notice nothing.
    """

    def __init__(self, target: str, options: dict[str, Any], *, size: int) -> None:
        self._workers = [_Worker(number, target, options) for number in range(size)]
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
        await self.start()
        ready = [worker for worker in self._workers if worker.is_ready]
        if not ready:
            raise EngineUnavailable(
                "No recogniser process is running.", hint="The log says why; it is retried."
            )
        return await min(ready, key=lambda worker: worker.load).open(options)


class Job:
    """One utterance in a worker."""

    def __init__(self, worker: _Worker, number: int) -> None:
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
            await self._worker.send(pack(CANCEL, self._number))
        self._worker.forget(self._number)

    def deliver(self, kind: bytes, value: Any) -> None:
        self._is_over = self._is_over or kind in (FINAL, FAILED)
        self._results.put_nowait((kind, value))


class _Worker:
    """One process, started again whenever it dies."""

    def __init__(self, number: int, target: str, options: dict[str, Any]) -> None:
        self._name = f"{target.partition(':')[2]} {number}"
        self._command = [sys.executable, "-m", "parley.engines.worker_process", target]
        self._command.append(json.dumps(options))
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._minding: asyncio.Task[None] | None = None
        self._jobs: dict[int, Job] = {}
        self._numbers = itertools.count(1)
        self._failure = ""

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    @property
    def load(self) -> int:
        return len(self._jobs)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        if self._minding is None or (self._minding.done() and not self.is_ready):
            self._failure = ""
            self._minding = asyncio.create_task(self._mind(), name=f"worker:{self._name}")
        if self.is_ready or self._minding.done():
            return
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait(
                [ready, self._minding],
                timeout=START_LIMIT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            ready.cancel()
        if not self.is_ready:
            raise EngineUnavailable(
                f"The recogniser process {self._name} did not start. {self._failure}".strip()
            )

    async def close(self) -> None:
        if self._minding is not None:
            self._minding.cancel()
            await asyncio.gather(self._minding, return_exceptions=True)
        await self._end_process()

    async def open(self, options: dict[str, Any]) -> Job:
        job = Job(self, next(self._numbers))
        number = job._number  # pyright: ignore[reportPrivateUsage]
        self._jobs[number] = job
        await self.send(pack_json(OPEN, number, options))
        return job

    async def send(self, message: bytes) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.write(message)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            # It has died; whoever minds it tells the jobs.
            return

    def forget(self, number: int) -> None:
        self._jobs.pop(number, None)

    async def _mind(self) -> None:
        failed_starts = 0
        while failed_starts < MAX_FAILED_STARTS:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # A session of its own: Ctrl-C on the terminal is the server's business.
                start_new_session=True,
            )
            self._process = process
            assert process.stdout is not None
            try:
                await self._read(process.stdout)
            finally:
                was_ready = self.is_ready
                self._ready.clear()
                self._fail_jobs("its process ended")
            code = await process.wait()
            failed_starts = 0 if was_ready else failed_starts + 1
            self._failure = f"It ended with code {code}."
            log.warning("worker_died", worker=self._name, code=code, failed_starts=failed_starts)
        log.error("worker_given_up", worker=self._name)

    async def _read(self, source: asyncio.StreamReader) -> None:
        while True:
            try:
                kind, number, length = HEADER.unpack(await source.readexactly(HEADER.size))
                value = json.loads(await source.readexactly(length))
            except asyncio.IncompleteReadError:
                return
            if kind == READY:
                log.debug("worker_ready", worker=self._name, pid=self.pid)
                self._ready.set()
            elif number in self._jobs:
                self._jobs[number].deliver(kind, value)

    def _fail_jobs(self, why: str) -> None:
        for job in self._jobs.values():
            job.deliver(FAILED, why)
        self._jobs.clear()

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
