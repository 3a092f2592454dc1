"""Reads a long text aloud piece by piece: the next piece is asked for before the last one ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import numpy as np

from parley.core.errors import EngineFailed
from parley.core.log import get_logger
from parley.engines.remote.instances import Instances
from parley.engines.tts.orpheus.codes import RATE_HZ
from parley.engines.tts.orpheus.joins import EdgeTrim
from parley.engines.tts.orpheus.manner import Manner, usual_s
from parley.engines.tts.orpheus.script import Part, Pause, Speech
from parley.engines.tts.orpheus.take import Decoder, Take, WindowSetup
from parley.engines.tts.orpheus.talker import Talker, TalkRequest
from parley.engines.tts.orpheus.window import Sound

log = get_logger(__name__)

ATTEMPTS = 2
"""A text that makes no sound is tried once more, with another seed."""
SHORTEST_S_PER_CHARACTER = 0.03
JOIN_MS = 120
NEXT_BEFORE_END_S = 1.0
SOUNDS_AHEAD = 32
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Stage:
    """What all takes of an engine are made with."""

    talkers: Instances[Talker]
    decoder: Decoder
    window: WindowSetup
    max_silence_ms: float
    model: str = ""
    seed: int | None = None


class Reading:
    """One text in one manner. ``sound`` runs once; closing it ends the requests behind it."""

    def __init__(self, stage: Stage, manner: Manner, parts: Sequence[Part]) -> None:
        self._stage = stage
        self._manner = manner
        self._parts = parts

    async def sound(self) -> AsyncGenerator[Sound]:
        """Pieces joined with a short pause; each begins and ends with sound."""
        async with AsyncExitStack() as stack:
            speeches = [index for index, part in enumerate(self._parts) if isinstance(part, Speech)]
            ahead: dict[int, _Ahead] = {}
            before: Part | None = None
            for index, part in enumerate(self._parts):
                if isinstance(part, Pause):
                    yield silence(part.duration_ms)
                    before = part
                    continue
                if isinstance(before, Speech):
                    yield silence(JOIN_MS)
                before = part
                following = next((each for each in speeches if each > index), None)
                source = ahead.pop(index, None)
                sounds = source.sounds() if source else self._speak(part, index == speeches[0])
                until_next_s = usual_s(part.text) - NEXT_BEFORE_END_S
                async with aclosing(sounds):
                    async for sound in sounds:
                        yield sound
                        until_next_s -= len(sound) / RATE_HZ
                        if following is not None and following not in ahead and until_next_s <= 0:
                            ahead[following] = await self._start(following, stack)
                if following is not None and following not in ahead:
                    ahead[following] = await self._start(following, stack)

    async def _start(self, index: int, stack: AsyncExitStack) -> _Ahead:
        part = self._parts[index]
        assert isinstance(part, Speech)
        return await stack.enter_async_context(_Ahead(self._speak(part, is_first=False)))

    async def _speak(self, part: Speech, is_first: bool) -> AsyncGenerator[Sound]:
        """One request's worth. Raises ``EngineFailed`` when it makes no sound, twice."""
        prompt = self._manner.prompt(part.text, is_first=is_first)
        seed = self._stage.seed
        for attempt in range(ATTEMPTS):
            sampling = self._manner.sampling_for(part.text, seed)
            own = self._manner.speaker.own
            model = (own.model if own else "") or self._stage.model
            request = TalkRequest(prompt, sampling, model)
            given = 0
            async with aclosing(self._trimmed(request)) as sounds:
                async for sound in sounds:
                    given += len(sound)
                    yield sound
            if given:
                spoken_s = given / RATE_HZ
                if spoken_s < SHORTEST_S_PER_CHARACTER * len(part.text):
                    log.warning("orpheus_cut_short", characters=len(part.text), sound_s=spoken_s)
                return
            log.warning("orpheus_empty", characters=len(part.text), attempt=attempt + 1)
            seed = random.randint(1, LARGEST_SEED)
        raise EngineFailed("The Orpheus talker made no sound for a text, twice.")

    async def _trimmed(self, request: TalkRequest) -> AsyncGenerator[Sound]:
        """One take without the silence at its edges; a model that falls silent is stopped."""
        stage, trim = self._stage, EdgeTrim()
        take = Take(stage.talkers, stage.decoder, request, stage.window)
        async with aclosing(take.sound()) as sounds:
            async for sound in sounds:
                heard = trim.push(sound)
                if len(heard):
                    yield heard
                if trim.silent_ms > stage.max_silence_ms:
                    log.warning("orpheus_ran_away", silent_ms=round(trim.silent_ms))
                    break
        last = trim.finish()
        if len(last):
            yield last


class _Ahead:
    """A piece that is being made while another is heard; its sound waits in a bounded queue."""

    def __init__(self, source: AsyncGenerator[Sound]) -> None:
        self._source = source
        self._queue: asyncio.Queue[Sound | Exception | None] = asyncio.Queue(SOUNDS_AHEAD)
        self._filling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Ahead:
        self._filling = asyncio.create_task(self._fill(), name="orpheus-ahead")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)

    async def sounds(self) -> AsyncGenerator[Sound]:
        while (sound := await self._queue.get()) is not None:
            if isinstance(sound, Exception):
                raise sound
            yield sound

    async def _fill(self) -> None:
        end: Exception | None = None
        try:
            async with aclosing(self._source) as sounds:
                async for sound in sounds:
                    await self._queue.put(sound)
        except Exception as error:
            # Told to whoever listens, in its turn: what comes before is still to be heard.
            end = error
        await self._queue.put(end)


def silence(duration_ms: float) -> Sound:
    return np.zeros(round(duration_ms * RATE_HZ / 1000), np.float32)
