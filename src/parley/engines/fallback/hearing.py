"""A chain of recognisers that looks like one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from parley.core.audio import Audio
from parley.core.errors import EngineFailed, ParleyError
from parley.engines.fallback.chain import Attempt, Request, Tell
from parley.engines.fallback.head import ChainHead
from parley.engines.fallback.limits import StageLimits
from parley.engines.fallback.recording import Recording
from parley.engines.fallback.timing import closing, silent_for
from parley.engines.patience import patience
from parley.engines.spec import TranscribeOptions, Transcriber, TranscriptPart

# Who hears all of an utterance at its end may take this share of its length more.
SHARE_OF_LENGTH = 0.15


class FallbackTranscriber(ChainHead[Transcriber]):
    """A ``Transcriber`` over several.

    The utterance is kept while it is heard: the next recogniser gets all of it, as fast as it
    takes it, while the caller may still be speaking. While another could take over, final parts
    are shown as partial ones and stand at the end.
    """

    def for_call(self, tell: Tell, limits: StageLimits | None = None) -> FallbackTranscriber:
        """The same engines for one call, which is told of replacements."""
        return FallbackTranscriber(self.chain.for_call(tell, limits))

    async def transcribe(
        self, audio: AsyncIterator[Audio], options: TranscribeOptions
    ) -> AsyncGenerator[TranscriptPart]:
        request = self.chain.request()
        async with Recording(audio) as recording:
            while True:
                request.patience_begins(_waiting_since_s(recording) + _extra_s(recording) * 2)
                attempt = request.attempt()
                try:
                    hearing = _Hearing(attempt, recording, request)
                    async with aclosing(hearing.parts(options)) as parts:
                        async for part in parts:
                            yield part
                    attempt.succeeded()
                    return
                except (GeneratorExit, asyncio.CancelledError):
                    attempt.left()
                    raise
                except Exception as error:
                    # Whatever it throws, the next one is asked; `failed` raises if there is none.
                    if _is_askers_fault(error, recording):
                        raise
                    attempt.started_s = max(attempt.started_s, _waiting_since_s(recording))
                    await request.failed(attempt, error)


class _Hearing:
    """One recogniser's go at an utterance."""

    def __init__(
        self, attempt: Attempt[Transcriber], recording: Recording, request: Request[Transcriber]
    ) -> None:
        self._attempt = attempt
        self._recording = recording
        self._keeps_finals = request.has_others
        self._limit: asyncio.Timeout | None = None
        self._began_s = asyncio.get_running_loop().time()
        self._result_s = 0.0
        recording.is_taken = False
        recording.changed = self._reschedule

    async def parts(self, options: TranscribeOptions) -> AsyncGenerator[TranscriptPart]:
        attempt = self._attempt
        finals: list[TranscriptPart] = []
        has_ended = False
        async with attempt.member.place(options.tenant, attempt.first_s):
            self._began_s = asyncio.get_running_loop().time()
            sound = self._recording.from_start()
            async with closing(attempt.engine.transcribe(sound, options)) as parts:
                while (part := await self._next(parts)) is not None:
                    attempt.has_given = True
                    has_ended = has_ended or part.final
                    if not self._keeps_finals:
                        yield part
                        continue
                    if part.final:
                        finals.append(part)
                    yield _so_far(finals, part)
        if not has_ended and self._recording.has_begun:
            raise EngineFailed(f"{attempt.member.name} ended without a transcript.")
        for part in finals:
            yield part

    async def _next(self, parts: AsyncIterator[TranscriptPart]) -> TranscriptPart | None:
        limit = self._limit = asyncio.timeout_at(self._due_s())
        try:
            async with limit:
                with patience(limit):
                    part = await anext(parts, None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise silent_for(self._attempt.first_s, self._attempt.member.name) from error
        finally:
            self._limit = None
        self._result_s = asyncio.get_running_loop().time()
        return part

    def _due_s(self) -> float | None:
        """Until when, by the loop's clock, the engine may be silent; None while it listens."""
        recording, attempt = self._recording, self._attempt
        if recording.over_s is None:
            if recording.is_taken or not recording.has_begun:
                return None
            return self._began_s + attempt.first_s
        over_s = recording.over_s - time.monotonic() + asyncio.get_running_loop().time()
        limit_s = attempt.gap_s if self._result_s > over_s else attempt.first_s
        since_s = max(over_s, self._began_s, self._result_s)
        return since_s + limit_s + _extra_s(recording)

    def _reschedule(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._due_s())


def _waiting_since_s(recording: Recording) -> float:
    """Since when the caller waits: now, while still speaking."""
    return time.monotonic() if recording.over_s is None else recording.over_s


def _extra_s(recording: Recording) -> float:
    return SHARE_OF_LENGTH * recording.duration_s


def _so_far(finals: list[TranscriptPart], part: TranscriptPart) -> TranscriptPart:
    """All that was understood until now, as a partial result."""
    texts = [final.text for final in finals]
    if not part.final:
        texts.append(part.text)
    text = " ".join(text for text in texts if text)
    return TranscriptPart(text, final=False, start_ms=part.start_ms, end_ms=part.end_ms)


def _is_askers_fault(error: Exception, recording: Recording) -> bool:
    """Whether the sound itself was broken: no other engine would hear it."""
    return recording.error is error and isinstance(error, ParleyError)
