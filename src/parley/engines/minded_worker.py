"""One recogniser process as the server sees it: started, asked, watched, replaced."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from contextlib import suppress
from typing import Any

from parley.core.errors import EngineUnavailable
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.engines.job import Job
from parley.engines.wire import (
    CANCEL,
    FAILED,
    HEADER,
    NOTE,
    NUMBER,
    OPEN,
    PING,
    PONG,
    READY,
    pack,
    pack_json,
)

log = get_logger(__name__)

START_LIMIT_S = 60.0
STOP_LIMIT_S = 3.0
# A worker is asked this often whether it lives. One that says nothing for the limit hangs: at the
# worst it learns a grammar, a second's work, or catches up with ten seconds of sound, on a machine
# that is eight times too busy.
PING_EVERY_S = 2.0
ANSWER_LIMIT_S = 20.0
# A worker that dies this often in a row while starting will not get well by itself.
MAX_FAILED_STARTS = 3
# The first one after a death starts at once; each that dies young makes the next wait longer.
YOUNG_S = 30.0
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


def wait_before_start_s(young_deaths: int) -> float:
    """How long a worker that died young so often in a row is left alone."""
    if young_deaths < 2:
        return 0.0
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (young_deaths - 2))


class Notes:
    """What workers have to say, logged once however many of them say it."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, note: str) -> None:
        if note not in self._said:
            self._said.add(note)
            log.warning("recogniser_note", note=note)


class MindedWorker:
    """One process, started again whenever it dies or hangs."""

    def __init__(
        self,
        number: int,
        target: str,
        options: dict[str, Any],
        notes: Notes,
        answer_limit_s: float,
    ) -> None:
        self._name = f"{target.partition(':')[2]} {number}"
        self._command = [sys.executable, "-m", "parley.engines.worker_process", target]
        self._command.append(json.dumps(options))
        self._process: asyncio.subprocess.Process | None = None
        self._notes = notes
        self._answer_limit_s = answer_limit_s
        self._ready = asyncio.Event()
        self._answered = asyncio.Event()
        self._minding: asyncio.Task[None] | None = None
        self._jobs: dict[int, Job] = {}
        self._numbers = itertools.count(1)
        self._failure = ""
        self._cancels = -1

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    @property
    def load(self) -> int:
        return len(self._jobs)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def begin(self) -> asyncio.Task[None]:
        """See to it that somebody minds the process; that task starts it."""
        if self._minding is None or self._minding.done():
            self._failure = ""
            self._minding = begin(self._mind(), f"worker:{self._name}")
        return self._minding

    async def start(self) -> None:
        minding = self.begin()
        if self.is_ready:
            return
        ready = begin(self._ready.wait(), f"ready:{self._name}")
        try:
            await asyncio.wait(
                [ready, minding],
                timeout=START_LIMIT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            await end(ready)
        if not self.is_ready:
            raise EngineUnavailable(
                f"The recogniser process {self._name} did not start. {self._failure}".strip()
            )

    async def close(self) -> None:
        if self._minding is not None:
            await end(self._minding)
        await self._end_process()

    async def open(self, options: dict[str, Any]) -> Job:
        number = next(self._numbers)
        job = self._jobs[number] = Job(self, number)
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

    def cancel(self, number: int) -> None:
        """Have the worker drop the utterance, whatever it does just now; nobody waits for that."""
        process = self._process
        if self._cancels < 0 or process is None or process.stdin is None:
            # It has died, and took its utterances along.
            return
        # A worker that hangs reads nothing, and is replaced.
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._cancels, NUMBER.pack(number))
        process.stdin.write(pack(CANCEL, number))

    def forget(self, number: int) -> None:
        self._jobs.pop(number, None)

    async def _mind(self) -> None:
        failed_starts = young_deaths = 0
        while failed_starts < MAX_FAILED_STARTS:
            await asyncio.sleep(wait_before_start_s(young_deaths))
            started_s = time.monotonic()
            was_ready = await self._run_once()
            is_young = time.monotonic() - started_s < YOUNG_S
            young_deaths = young_deaths + 1 if is_young else 1
            failed_starts = 0 if was_ready else failed_starts + 1
            log.warning(
                "worker_died",
                worker=self._name,
                why=self._failure,
                failed_starts=failed_starts,
                young_deaths=young_deaths,
            )
        log.error("worker_given_up", worker=self._name)

    async def _run_once(self) -> bool:
        """Run one process to its end; returns whether it ever became ready."""
        heard, self._cancels = os.pipe()
        os.set_blocking(self._cancels, False)
        try:
            process = self._process = await self._begun(heard)
            assert process.stdout is not None
            watching = begin(self._watch(process), f"watch:{self._name}")
            try:
                await self._read(process.stdout)
            finally:
                was_ready = self.is_ready
                self._ready.clear()
                self._fail_jobs("its process ended")
                await end(watching)
        finally:
            os.close(self._cancels)
            self._cancels = -1
        self._failure = f"It ended with code {await process.wait()}."
        return was_ready

    async def _begun(self, heard: int) -> asyncio.subprocess.Process:
        """The process, which alone holds the other end of the pipe of cancels."""
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                str(heard),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(heard,),
                # A session of its own: Ctrl-C on the terminal is the server's business.
                start_new_session=True,
            )
        finally:
            os.close(heard)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process when it has nothing to say; whoever minds it starts another."""
        assert process.stdin is not None
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await self._ready.wait()
            while True:
                self._answered.clear()
                # Not through send(): that would wait for a pipe which a hung process never empties.
                process.stdin.write(pack(PING, 0))
                async with asyncio.timeout(self._answer_limit_s):
                    await self._answered.wait()
                await asyncio.sleep(min(PING_EVERY_S, self._answer_limit_s))
        except TimeoutError:
            log.error("worker_hangs", worker=self._name, pid=process.pid)
            process.kill()

    async def _read(self, source: asyncio.StreamReader) -> None:
        while True:
            try:
                kind, number, length = HEADER.unpack(await source.readexactly(HEADER.size))
                value = json.loads(await source.readexactly(length))
            except asyncio.IncompleteReadError:
                return
            self._answered.set()
            if kind == READY:
                log.debug("worker_ready", worker=self._name, pid=self.pid)
                self._ready.set()
            elif kind == NOTE:
                self._notes.say(value)
            elif kind != PONG and number in self._jobs:
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
