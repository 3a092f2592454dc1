"""Puts any recogniser into a live call: one utterance after the other, while it is spoken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601

from parley.core.audio import Audio
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.engines.spec import TranscribeOptions, Transcriber, TranscriptPart
from parley.engines.stt.orders import (
    PREROLL_MS,
    AfterSpeechFrame,
    CommitFrame,
    DiscardFrame,
    EndTurnFrame,
    ListenFrame,
)
from parley.engines.stt.utterance import BEHIND_LIMIT_MS, Utterance

log = get_logger(__name__)

# Where voice activity never stops (music, a loud street), what was said so far is told after this.
LONGEST_UTTERANCE_MS = 60_000
# How late a final transcript may be before the turn is ended without one.
EXPECTED_AFTER_S = 1.0


class LiveTranscriber(STTService):
    """Hears what voice activity detection marks as speech.

    Each utterance ends in exactly one final ``TranscriptionFrame``; one without text means that
    nothing was understood, and lets the turn end at once. Decoding to the end starts when voice
    activity stops, before turn detection has its verdict. If the caller goes on within the turn,
    or speaks for longer than ``longest_ms``, a further utterance follows and the texts are joined.
    """

    def __init__(
        self,
        engine: Transcriber,
        options: TranscribeOptions,
        *,
        longest_ms: float = LONGEST_UTTERANCE_MS,
    ) -> None:
        super().__init__(
            ttfs_p99_latency=EXPECTED_AFTER_S,
            settings=STTSettings(model=None, language=options.language),
        )
        self._engine = engine
        self._options = options
        self._longest_ms = longest_ms
        self._commits = False
        self._behind_limit_ms: float = BEHIND_LIMIT_MS
        self._preroll_limit_ms = PREROLL_MS
        self._preroll: deque[Audio] = deque()
        self._preroll_ms = 0.0
        self._utterance: Utterance | None = None
        self._newest: Utterance | None = None
        self._hearing: set[asyncio.Task[None]] = set()
        self._last_ended: Utterance | None = None
        self.hears_secret = False
        """Whether what is said must not be in a log, not even for debugging."""

    def set_options(self, *, language: str, prompt: str) -> None:
        """Hear like this from the next utterance on."""
        self._options = replace(self._options, language=language, prompt=prompt)

    def hear_language(self, language: str) -> None:
        """Hear that language from the next utterance on."""
        self._options = replace(self._options, language=language)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Pipecat's hook for recognisers that take sound frame by frame; ours take utterances."""
        yield None

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        if not frame.audio or self.is_muted:
            return
        piece = Audio(frame.audio, frame.sample_rate)
        if self._commits and self._utterance is None:
            self._speech_started()
        if self._utterance is not None:
            self._utterance.put(piece)
            if self._utterance.length_ms >= self._longest_ms:
                self._speech_stopped()
                self._speech_started()
            return
        self._preroll.append(piece)
        self._preroll_ms += piece.duration_ms
        while self._preroll_ms > self._preroll_limit_ms:
            self._preroll_ms -= self._preroll.popleft().duration_ms

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._speech_started()
        elif isinstance(frame, VADUserStoppedSpeakingFrame | CommitFrame | EndTurnFrame):
            self._speech_stopped()
        elif isinstance(frame, DiscardFrame):
            self._discard()
        elif isinstance(frame, ListenFrame):
            self._listen(frame)
        if isinstance(frame, CommitFrame | DiscardFrame):
            frame.taken.set()
        if isinstance(frame, CommitFrame | EndTurnFrame | AfterSpeechFrame):
            await self._all_told()
        await super().process_frame(frame, direction)

    async def stop(self, frame: EndFrame) -> None:
        await self._stop_hearing()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        await self._stop_hearing()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        await self._stop_hearing()
        await super().cleanup()

    def _speech_started(self) -> None:
        if self._utterance is not None:
            return
        before = self._newest
        utterance = self._utterance = self._newest = Utterance(self._behind_limit_ms)
        for piece in self._preroll:
            utterance.put(piece)
        self._preroll.clear()
        self._preroll_ms = 0.0
        task = cast("asyncio.Task[None]", self.create_task(self._hear(utterance, before)))
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)

    def _speech_stopped(self) -> None:
        if self._utterance is not None:
            self._utterance.end()
            self._last_ended, self._utterance = self._utterance, None

    async def _all_told(self) -> None:
        if self._last_ended is not None:
            await self._last_ended.told.wait()

    def _discard(self) -> None:
        self._preroll.clear()
        self._preroll_ms = 0.0
        if self._utterance is not None:
            self._utterance.is_discarded = True
            self._speech_stopped()

    def _listen(self, frame: ListenFrame) -> None:
        if self._commits and not frame.commits:
            self._discard()
        self._commits = frame.commits
        self._behind_limit_ms = 2 * self._longest_ms if frame.keeps_all else BEHIND_LIMIT_MS
        self._preroll_limit_ms = frame.preroll_ms

    async def _hear(self, utterance: Utterance, before: Utterance | None) -> None:
        try:
            text = await self._understand(utterance)
            if utterance.dropped_ms:
                log.warning("recogniser_behind", dropped_ms=round(utterance.dropped_ms))
            # A recogniser may finish a short utterance before the longer one that came first.
            if before is not None:
                await before.told.wait()
            await self._push_final("" if utterance.is_discarded else text, utterance)
        finally:
            utterance.told.set()

    async def _understand(self, utterance: Utterance) -> str:
        text = ""
        try:
            parts = cast(
                AsyncGenerator[TranscriptPart],
                self._engine.transcribe(utterance.audio(), self._options),
            )
            async with aclosing(parts):
                async for part in parts:
                    if part.final:
                        text = f"{text} {part.text}".strip()
                    else:
                        await self._push_partial(f"{text} {part.text}".strip())
        except ParleyError as error:
            await self._tell(str(error), error)
        except Exception as error:
            # However a recogniser breaks, the utterance must end, or the turn never would.
            message = f"The recogniser broke: {type(error).__name__}: {error}"
            await self._tell(message, error)
        return text

    async def _tell(self, message: str, error: Exception) -> None:
        # Without a category Pipecat takes our errors' HTTP status for a provider's, and never asks
        # this recogniser again.
        await self.push_error(error_msg=message, exception=error, category=ErrorCategory.UNKNOWN)

    async def _push_partial(self, text: str) -> None:
        if text:
            await self.push_frame(InterimTranscriptionFrame(text, "", time_now_iso8601()))

    async def _push_final(self, text: str, utterance: Utterance) -> None:
        # While a newer utterance is on its way, this one must not let the turn end.
        is_last = utterance is self._newest
        log.debug("heard", text="(hidden)" if self.hears_secret else text, is_last=is_last)
        await self.push_frame(TranscriptionFrame(text, "", time_now_iso8601(), finalized=is_last))

    async def _stop_hearing(self) -> None:
        for task in list(self._hearing):
            await self.cancel_task(task)
        self._utterance = None
