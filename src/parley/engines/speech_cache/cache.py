"""Whole takes in memory, and on disk where there is a folder: bounded, the latest used kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from parley.core.audio import Audio
from parley.core.log import get_logger
from parley.engines.spec import SpeechOptions
from parley.engines.speech_cache.recording import Recording
from parley.engines.speech_cache.shelf import KEPT_FOR_S, Shelf
from parley.engines.speech_cache.take import Take
from parley.settings import Settings

log = get_logger(__name__)

LONGEST_TEXT = 300
"""Longer texts are hardly said twice."""
LONGEST_KEPT_TEXT = 1500
"""What is spoken in advance (a greeting, say) may be longer."""
LARGEST_SHARE = 4
ASKED_BEFORE_KEPT = 2
REMEMBERED_TEXTS = 4096

_MIB = 1024 * 1024

Synthesis = Callable[[], AsyncIterator[Audio]]


@dataclass(slots=True)
class SpeechFigures:
    """How useful the cache is. ``joined`` heard a synthesis that was already under way."""

    hits: int = 0
    disk_hits: int = 0
    joined: int = 0
    misses: int = 0
    stored: int = 0
    evicted: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0


class SpeechCache:
    """Shared by all voices of a process.

    A text is kept when it is asked for a second time, so that replies that nobody hears again
    don't fill the memory; what is spoken in advance is kept at once. A key tells whose a take is,
    and only what is the house's own has a key for everybody: nobody hears sooner what another
    tenant has said before. Equal requests at the same time are one synthesis. ``memory_bytes`` 0
    keeps nothing.
    """

    def __init__(
        self,
        memory_bytes: int,
        folder: Path | None = None,
        *,
        disk_bytes: int = 0,
        kept_for_s: float = KEPT_FOR_S,
        longest_text: int = LONGEST_TEXT,
    ) -> None:
        self._memory_bytes = memory_bytes
        self._longest_text = longest_text
        self._takes: OrderedDict[str, Take] = OrderedDict()
        self._asked: OrderedDict[str, int] = OrderedDict()
        self._recordings: dict[str, Recording] = {}
        self._writing: set[asyncio.Task[None]] = set()
        has_disk = folder is not None and disk_bytes > 0
        self._shelf = Shelf(folder, disk_bytes, kept_for_s) if folder and has_disk else None
        self._figures = SpeechFigures()

    @property
    def figures(self) -> SpeechFigures:
        disk_bytes = self._shelf.bytes if self._shelf else 0
        return replace(self._figures, disk_bytes=disk_bytes)

    def takes(self, text: str) -> bool:
        """Whether a text of this length is one for the cache."""
        return self._memory_bytes > 0 and 0 < len(text) <= self._longest_text

    def holds(self, key: str) -> bool:
        """Whether there is a take."""
        return key in self._takes or (self._shelf is not None and key in self._shelf)

    async def speech(
        self, key: str, shared_key: str, synthesis: Synthesis
    ) -> AsyncGenerator[Audio]:
        """The take of ``key`` or of ``shared_key`` (spoken in advance); else a new synthesis."""
        take = await self._find(key) or (await self._find(shared_key))
        if take is not None:
            self._figures.hits += 1
            for piece in take.pieces:
                yield piece
            return
        recording = self._recordings.get(key)
        if recording is not None and recording.can_be_joined:
            self._figures.joined += 1
            self._asked_again(key)
        else:
            self._figures.misses += 1
            self._asked_again(key)
            recording = self._record(key, synthesis)
        async with aclosing(recording.listen()) as pieces:
            async for piece in pieces:
                yield piece

    async def keep(self, key: str, synthesis: Synthesis) -> bool:
        """Speak it now unless it is there, and keep it; whether there is a whole take now."""
        if self._memory_bytes <= 0 or await self._find(key) is not None:
            return self._memory_bytes > 0
        self._asked[key] = ASKED_BEFORE_KEPT
        recording = self._recordings.get(key)
        if recording is None or not recording.can_be_joined:
            recording = self._record(key, synthesis)
        async with aclosing(recording.listen()) as pieces:
            async for _ in pieces:
                pass
        return key in self._takes

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing)

    def _record(self, key: str, synthesis: Synthesis) -> Recording:
        recording = Recording(synthesis(), lambda take: self._finished(key, take))
        self._recordings = {k: r for k, r in self._recordings.items() if r.can_be_joined}
        self._recordings[key] = recording
        return recording

    def _asked_again(self, key: str) -> None:
        self._asked[key] = self._asked.pop(key, 0) + 1
        if len(self._asked) > REMEMBERED_TEXTS:
            self._asked.popitem(last=False)

    def _finished(self, key: str, take: Take) -> None:
        if self._asked.get(key, 0) < ASKED_BEFORE_KEPT or not any(p.pcm for p in take.pieces):
            return
        if take.bytes > self._memory_bytes // LARGEST_SHARE:
            return
        self._put(key, take)
        self._figures.stored += 1
        if self._shelf is not None:
            task = asyncio.create_task(asyncio.to_thread(self._shelf.write, key, take))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    def _put(self, key: str, take: Take) -> None:
        if (old := self._takes.pop(key, None)) is not None:
            self._figures.memory_bytes -= old.bytes
        self._takes[key] = take
        self._figures.memory_bytes += take.bytes
        while self._figures.memory_bytes > self._memory_bytes:
            _, evicted = self._takes.popitem(last=False)
            self._figures.memory_bytes -= evicted.bytes
            self._figures.evicted += 1

    async def _find(self, key: str) -> Take | None:
        take = self._takes.get(key)
        if take is not None:
            self._takes.move_to_end(key)
            return take
        if self._shelf is None or key not in self._shelf:
            return None
        take = await asyncio.to_thread(self._shelf.read, key)
        if take is not None:
            self._figures.disk_hits += 1
            self._put(key, take)
        return take


def speech_cache(settings: Settings) -> SpeechCache | None:
    """The cache that the settings ask for; None when it is off."""
    if not settings.speech_cache_mb:
        return None
    return SpeechCache(
        settings.speech_cache_mb * _MIB,
        settings.data_dir / "speech",
        disk_bytes=settings.speech_cache_disk_mb * _MIB,
    )


def speech_key(identity: str, text: str, options: SpeechOptions, tenant: str | None) -> str:
    """One name for everything that decides how it sounds, and for whose it is: None is
    everybody's."""
    facts = [
        identity,
        options.voice,
        options.language,
        options.instructions,
        *(round(value, 3) for value in (options.speed, options.pitch, options.volume)),
        " ".join(text.split()),
        tenant,
    ]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()
