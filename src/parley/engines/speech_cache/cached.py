"""A voice that remembers what it has said."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from parley.core.audio import Audio
from parley.core.log import get_logger
from parley.engines.spec import (
    EngineOptions,
    SpeechOptions,
    Status,
    Synthesizer,
    TagPerformer,
    Voice,
)
from parley.engines.speech_cache.cache import LONGEST_KEPT_TEXT, SpeechCache, speech_key

log = get_logger(__name__)

EVERYBODY = None
"""In a tenant's place."""


class CachedSpeech:
    """A ``Synthesizer`` in front of another. ``identity`` tells engines, models and options
    apart; takes are kept for the tenant that asked, and what ``keep`` speaks for the house for
    all."""

    def __init__(self, engine: Synthesizer, identity: str, cache: SpeechCache) -> None:
        self.engine = engine
        self._identity = identity
        self._cache = cache

    async def warm_up(self) -> None:
        await self.engine.warm_up()

    async def check(self) -> Status:
        return await self.engine.check()

    def voices(self) -> Sequence[Voice]:
        return self.engine.voices()

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        shared = self._key(text, options, EVERYBODY)
        key = self._key(text, options, options.tenant)
        if self._cache.takes(text) or self._cache.holds(shared) or self._cache.holds(key):
            sounds = self._cache.speech(key, shared, self._synthesis(text, options))
        else:
            sounds = self.engine.synthesize(text, options)
        async with AsyncExitStack() as stack:
            close: Callable[[], Awaitable[None]] | None = getattr(sounds, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)
            async for sound in sounds:
                yield sound

    async def keep(self, texts: Sequence[str], options: SpeechOptions) -> int:
        """Speak these now, so that saying them costs nothing; how many are at hand.

        With a tenant in ``options`` they are at hand for that one alone.
        An engine that fails is logged: it will be asked again when the text is needed.
        """
        kept = 0
        for text in dict.fromkeys(text for text in texts if 0 < len(text) <= LONGEST_KEPT_TEXT):
            try:
                key = self._key(text, options, options.tenant or EVERYBODY)
                kept += await self._cache.keep(key, self._synthesis(text, options))
            except Exception as error:
                # Whatever the engine throws: nobody waits for this speech yet.
                log.warning("speech_not_kept", error=f"{type(error).__name__}: {error}")
                break
        return kept

    async def close(self) -> None:
        await self.engine.close()

    def _key(self, text: str, options: SpeechOptions, tenant: str | None) -> str:
        return speech_key(self._identity, text, options, tenant)

    def _synthesis(self, text: str, options: SpeechOptions) -> Callable[[], AsyncIterator[Audio]]:
        return lambda: self.engine.synthesize(text, options)


class CachedActing(CachedSpeech):
    """The same in front of a voice that acts out tags."""

    @property
    def tags(self) -> frozenset[str]:
        return self.engine.tags if isinstance(self.engine, TagPerformer) else frozenset()


def cached_speech(
    engine: Synthesizer, name: str, options: EngineOptions, cache: SpeechCache | None
) -> Synthesizer:
    """The engine with the cache in front of it, or by itself when there is none."""
    if cache is None:
        return engine
    identity = json.dumps([name, options.model_dump(mode="json")], sort_keys=True, default=str)
    acts = isinstance(engine, TagPerformer)
    return CachedActing(engine, identity, cache) if acts else CachedSpeech(engine, identity, cache)
