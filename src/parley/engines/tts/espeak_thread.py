"""The one eSpeak of a process and the one thread that calls it, shared by all engines and calls.

Texts come clause by clause. Whoever has been given the least sound so far goes first, so a long
text of one call never keeps the beginning of another's waiting for more than a clause.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from parley.core.errors import EngineFailed
from parley.engines.tts.espeak import Burst, Espeak, VoiceSetup
from parley.engines.tts.espeak_files import EspeakFiles, installed_files
from parley.engines.tts.espeak_voices import VoiceBook

_CLOSED = "eSpeak NG was closed while it spoke."


class EspeakThread:
    """Take a share with ``share()`` and give it back with ``release()``; the last one closes.

    The library's state is global to the process: that is why the open one is a class attribute.
    """

    _sharing: ClassVar[threading.Lock] = threading.Lock()
    _open: ClassVar[EspeakThread | None] = None

    def __init__(self, files: EspeakFiles) -> None:
        self._espeak = Espeak(files)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")
        self._waiting: list[tuple[int, int, _Work]] = []
        self._queueing = threading.Lock()
        self._arrivals = itertools.count()
        self._shares = 0
        self._is_closing = False
        self.rate_hz: int = self._espeak.rate_hz
        self.voices = VoiceBook(self._espeak.voices, self._espeak.variants)

    @classmethod
    def share(cls, find_files: Callable[[], EspeakFiles] = installed_files) -> EspeakThread:
        """The open eSpeak, opened first if need be. Raises ``EngineUnavailable``."""
        with cls._sharing:
            if cls._open is None:
                cls._open = cls(find_files())
            cls._open._shares += 1
            return cls._open

    def release(self) -> None:
        """Give a share back. The last one ends the thread and whoever still wants to speak."""
        with self._sharing:
            self._shares -= 1
            if self._shares:
                return
            EspeakThread._open = None
            self._is_closing = True
            self._executor.shutdown(wait=True)
            self._espeak.close()

    async def speak(self, text: str, setup: VoiceSetup, given: int) -> AsyncGenerator[Burst]:
        """Speak one clause of somebody who has been ``given`` so many samples before it.

        Closing the iterator stops it within one burst.
        """
        bursts = _BurstQueue(asyncio.get_running_loop())
        with self._queueing:
            work = _Work(text, setup, bursts)
            heapq.heappush(self._waiting, (given, next(self._arrivals), work))
        try:
            self._executor.submit(self._run_next)
        except RuntimeError as error:
            # Closed between two clauses.
            raise EngineFailed(_CLOSED) from error
        try:
            while burst := await bursts.get():
                yield burst
        finally:
            bursts.close()

    async def phonemes(self, text: str, identifier: str, tie: str) -> str:
        """The text in the International Phonetic Alphabet, as that voice pronounces it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, self._espeak.phonemes, text, identifier, tie
        )

    def _run_next(self) -> None:
        with self._queueing:
            _, _, work = heapq.heappop(self._waiting)
        bursts = work.bursts
        if bursts.is_closed:
            return
        error: Exception | None = None
        try:
            self._espeak.speak(work.text, work.setup, partial(self._pass_on, bursts))
        except Exception as failure:
            # Handed over to whoever waits for the sound in the event loop.
            error = failure
        if self._is_closing:
            error = EngineFailed(_CLOSED)
        bursts.end(error)

    def _pass_on(self, bursts: _BurstQueue, burst: Burst) -> bool:
        return not self._is_closing and bursts.put(burst)


@dataclass(frozen=True, slots=True)
class _Work:
    text: str
    setup: VoiceSetup
    bursts: _BurstQueue


class _BurstQueue:
    """From the thread to the event loop; wakes the loop once, however much has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bursts: deque[Burst] = deque()
        self._arrived = asyncio.Event()
        self._is_waking = False
        self.is_closed = False
        self._has_ended = False
        self._error: Exception | None = None

    def put(self, burst: Burst) -> bool:
        """Called in the thread; false when nobody wants more."""
        if self.is_closed:
            return False
        self._bursts.append(burst)
        return self._wake()

    def end(self, error: Exception | None) -> None:
        self._error = error
        self._has_ended = True
        self._wake()

    def close(self) -> None:
        self.is_closed = True

    async def get(self) -> Burst | None:
        """The next burst, or None at the end; raises what the thread ran into."""
        while not self._bursts:
            # Read before the bursts are looked at again: the thread sets it after its last one.
            if self._has_ended and not self._bursts:
                if self._error is not None:
                    raise self._error
                return None
            await self._arrived.wait()
            self._arrived.clear()
        return self._bursts.popleft()

    def _wake(self) -> bool:
        if self._is_waking:
            return True
        self._is_waking = True
        try:
            self._loop.call_soon_threadsafe(self._on_wake)
        except RuntimeError:  # the loop is closed: its caller is gone
            return False
        return True

    def _on_wake(self) -> None:
        self._is_waking = False
        self._arrived.set()
