"""A chain of voices that looks like one."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.fallback.chain import Attempt, Chain, Tell
from parley.engines.fallback.head import ChainHead
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.spoken import Spoken
from parley.engines.fallback.timing import Drip, closing, within
from parley.engines.spec import (
    SpeechOptions,
    Synthesizer,
    TagPerformer,
    Voice,
    performed_tags,
    voices_for,
)


class FallbackSpeech(ChainHead[Synthesizer]):
    """A ``Synthesizer`` over several.

    Sound that was given out is heard; when its engine fails, the next one speaks the words that
    are still missing, with a voice of its own.
    """

    def for_call(self, tell: Tell, limits: StageLimits | None = None) -> FallbackSpeech:
        """The same engines for one call, which is told of replacements."""
        return fallback_speech(self.chain.for_call(tell, limits))

    def voices(self) -> Sequence[Voice]:
        """Those of the engine that is preferred, even while another speaks in its place."""
        return self.chain.links[0].member.engine.voices()

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        request = self.chain.request()
        spoken = Spoken(text)
        while True:
            attempt = request.attempt()
            try:
                async with aclosing(self._ask(attempt, spoken, options)) as sounds:
                    async for sound in sounds:
                        yield sound
                attempt.succeeded()
                return
            except (GeneratorExit, asyncio.CancelledError):
                attempt.left()
                raise
            except Exception as error:
                # Whatever it throws, the next one is asked; `failed` raises if there is none.
                spoken.breaks_off()
                if not spoken.rest and spoken.has_sound:
                    attempt.member.failed(str(error))
                    return
                await request.failed(attempt, error)

    async def _ask(
        self, attempt: Attempt[Synthesizer], spoken: Spoken, options: SpeechOptions
    ) -> AsyncGenerator[Audio]:
        name, engine = attempt.member.name, attempt.engine
        if not attempt.is_first_choice:
            options = _with_own_voice(engine, options)
        drip = Drip(attempt.gap_s)
        deadline_s = time.monotonic() + attempt.first_s
        text = _without_tags(spoken.begins(), self, engine)
        async with (
            attempt.member.place(options.tenant, attempt.first_s),
            closing(engine.synthesize(text, options)) as sounds,
        ):
            sound = await within(deadline_s - time.monotonic(), sounds, name)
            while sound is not None:
                if sound.pcm or sound.words:
                    attempt.has_given = attempt.has_given or bool(sound.pcm)
                    drip.came(time.monotonic(), sound.duration_ms / 1000)
                    yield spoken.take(sound)
                sound = await within(drip.wait_begins(time.monotonic()), sounds, name)
        if not attempt.has_given and any(map(str.isalnum, text)):
            raise EngineFailed(f"{name} made no sound.")


class FallbackActing(FallbackSpeech):
    """The same where the preferred voice acts out tags in a text; others never see them."""

    @property
    def tags(self) -> frozenset[str]:
        return performed_tags(self.chain.links[0].member.engine)


def fallback_speech(chain: Chain[Synthesizer]) -> FallbackSpeech:
    acts = isinstance(chain.links[0].member.engine, TagPerformer)
    return FallbackActing(chain) if acts else FallbackSpeech(chain)


def _without_tags(text: str, asked: FallbackSpeech, engine: Synthesizer) -> str:
    """The text without the tags that this voice would read aloud."""
    foreign = performed_tags(asked) - performed_tags(engine)
    if not foreign:
        return text
    tag = re.compile(rf"</?(?:{'|'.join(map(re.escape, sorted(foreign)))})\b[^>]*>\s*")
    return tag.sub("", text)


def _with_own_voice(engine: Synthesizer, options: SpeechOptions) -> SpeechOptions:
    """The options without a voice that belongs to another engine."""
    has = voices_for(options.tenant, engine.voices())
    if not options.voice or any(voice.id == options.voice for voice in has):
        return options
    return replace(options, voice="")
