"""One thread decodes for all calls: whatever is waiting and of one length goes in one batch."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from parley.core.errors import EngineFailed, ParleyError
from parley.engines.tts.orpheus.codes import FRAME_SAMPLES
from parley.engines.tts.orpheus.snac import Codec, Device, open_codec
from parley.engines.tts.orpheus.window import Codes, Sound


@dataclass(frozen=True)
class CodecPlace:
    """Which decoder, on what. ``threads`` bounds those of the runtime."""

    path: Path
    device: Device = "auto"
    threads: int = 1


@dataclass(eq=False)
class _Job:
    codes: Codes
    done: asyncio.Future[Sound]
    loop: asyncio.AbstractEventLoop


class DecoderThread:
    """Take a share with ``share()`` and give it back with ``release()``; the last one ends it.

    Engines that differ in their voices only share one decoder: that is why the open ones are
    kept on the class. ``batch_sizes`` counts how many slices were decoded at once, how often.
    """

    _sharing: ClassVar[threading.Lock] = threading.Lock()
    _open: ClassVar[dict[CodecPlace, DecoderThread]] = {}

    def __init__(self, open_it: Callable[[], Codec], place: CodecPlace | None = None) -> None:
        self._open_it = open_it
        self._place = place
        self._shares = 1
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self.batch_sizes: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="snac", daemon=True)
        self._thread.start()

    @classmethod
    def share(cls, place: CodecPlace) -> DecoderThread:
        """The thread of this decoder. It loads the model with the first slice."""
        with cls._sharing:
            thread = cls._open.get(place)
            if thread is None:
                thread = cls(lambda: open_codec(place.path, place.device, place.threads), place)
                cls._open[place] = thread
            else:
                thread._shares += 1
            return thread

    def release(self) -> None:
        """Give a share back. The last one ends the thread and fails who still waits."""
        with self._sharing:
            self._shares -= 1
            if self._shares:
                return
            if self._place is not None:
                self._open.pop(self._place, None)
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    async def decode(self, codes: Codes) -> Sound:
        """The sound of one slice. Who stops waiting costs the decoder nothing.

        Raises ``EngineUnavailable`` for a decoder that can't be loaded, ``EngineFailed`` else.
        """
        loop = asyncio.get_running_loop()
        job = _Job(codes, loop.create_future(), loop)
        with self._changed:
            if self._is_closing:
                raise EngineFailed("The SNAC decoder was closed.")
            self._jobs.append(job)
            self._changed.notify()
        return await job.done

    def _run(self) -> None:
        codec: Codec | None = None
        while (job := self._next()) is not None:
            jobs = [job]
            try:
                codec = codec or self._open_it()
                jobs += self._alike(job, codec.most_at_once - 1)
                self._decode(codec, jobs)
            except Exception as error:
                # Handed over to those who wait for the sound; the next ones get theirs.
                _fail(jobs, error)
        with self._changed:
            left = list(self._jobs)
            self._jobs.clear()
        _fail(left, EngineFailed("The SNAC decoder was closed."))

    def _decode(self, codec: Codec, jobs: list[_Job]) -> None:
        sounds = codec.decode(np.stack([job.codes for job in jobs]))
        if sounds.shape != (len(jobs), len(jobs[0].codes) * FRAME_SAMPLES):
            raise EngineFailed(
                f"The SNAC decoder gave sound of shape {sounds.shape} for {len(jobs)} slices of "
                f"{len(jobs[0].codes)} frames.",
                hint="It must be the 24 kHz model.",
            )
        self.batch_sizes[len(jobs)] = self.batch_sizes.get(len(jobs), 0) + 1
        for job, sound in zip(jobs, sounds, strict=True):
            _tell(job, sound)

    def _next(self) -> _Job | None:
        """The job that has waited longest; None when the thread is to end."""
        with self._changed:
            while not self._is_closing:
                while self._jobs:
                    job = self._jobs.popleft()
                    if not job.done.cancelled():
                        return job
                self._changed.wait()
            return None

    def _alike(self, job: _Job, most: int) -> list[_Job]:
        """Other waiting jobs of the same length. (Filled up, a slice would sound different.)"""
        with self._changed:
            waiting = [each for each in self._jobs if not each.done.cancelled()]
            alike = [each for each in waiting if len(each.codes) == len(job.codes)][:most]
            self._jobs = deque(each for each in waiting if each not in alike)
            return alike


def _fail(jobs: list[_Job], error: Exception) -> None:
    if not isinstance(error, ParleyError):
        failure = EngineFailed(f"The SNAC decoder failed: {error}")
        failure.__cause__ = error
        error = failure
    for job in jobs:
        _tell(job, error)


def _tell(job: _Job, outcome: Sound | Exception) -> None:
    try:
        job.loop.call_soon_threadsafe(_settle, job.done, outcome)
    except RuntimeError:  # the loop is closed: its caller is gone
        return


def _settle(done: asyncio.Future[Sound], outcome: Sound | Exception) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
