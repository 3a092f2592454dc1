"""Speech in a live call: any engine's plain function as a Pipecat processor.

Sound and words leave interleaved, each word right behind the sound that ends it. The output
transport plays them in that order and drops what is left of both when the caller interrupts, so
the conversation keeps exactly the words that were played.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    AggregatedTextProgressFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.text.base_text_aggregator import TextType

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import EngineTimeout
from parley.engines.spec import SpeechOptions, Synthesizer, performed_tags
from parley.engines.tts.aggregation import SpeechAggregator
from parley.engines.tts.pace import Pace
from parley.engines.tts.speakable import speakable
from parley.engines.tts.spoken_form import spoken_form
from parley.engines.tts.stopping import outlast_interruption
from parley.engines.tts.utterance import Portion, SpeakingRate, Utterance

MAX_AHEAD_MS = 4000
HURRY_BELOW_MS = 700
"""With less than this left to play, a clause is spoken before its sentence is complete."""
SENTENCE_GAP_MS = 120
"""Engines end a sentence as if it were the last; this lets the next one breathe."""
ENGINE_TIMEOUT_S = 15.0
LONGEST_SILENCE_S = 60.0

_CLAUSE_CLOSERS = frozenset(",;:–—-、，；：")
_LAST_NARROW = "\u2e7f"
"""Characters after this one belong to scripts that put no spaces between sentences."""
_IN_ORDER = 0
"""As a frame's ``pts``: Pipecat sends frames with a time past the queue of sound, and sets one
where there is None; zero is a time to it, but not one that counts."""


class LiveAudioFrame(TTSAudioRawFrame):
    """Speech for the caller. Pipecat formats every frame at every step: its name must do."""

    def __str__(self) -> str:
        return self.name


class LiveSpeech(TTSService):
    """Speaks replies as they stream in, with any ``Synthesizer``.

    Never sends more than ``max_ahead_ms`` of sound ahead of the clock. An engine that fails is
    reported with an ``ErrorFrame`` and asked again for the next sentence. ``reports_progress``
    adds the frames from which RTVI tells a page what is being spoken.
    """

    def __init__(
        self,
        engine: Synthesizer,
        options: SpeechOptions,
        *,
        output_rate_hz: int,
        max_ahead_ms: float = MAX_AHEAD_MS,
        sentence_gap_ms: int = SENTENCE_GAP_MS,
        engine_timeout_s: float = ENGINE_TIMEOUT_S,
        reports_progress: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            sample_rate=output_rate_hz,
            push_text_frames=False,
            push_stop_frames=False,
            push_start_frame=False,
            stop_frame_timeout_s=LONGEST_SILENCE_S,
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model=None, voice=options.voice or None, language=None),
            name=name,
        )
        self._engine = engine
        self._options = options
        self._sentence_gap_ms = sentence_gap_ms
        self.set_output_rate(output_rate_hz)
        self._text_before = ""
        self._engine_timeout_s = engine_timeout_s
        self._reports_progress = reports_progress
        self._pace = Pace(max_ahead_ms)
        self._rate = SpeakingRate()
        self._segment: AggregatedTextFrame | None = None
        self._tags = performed_tags(engine)
        self._text_aggregator = SpeechAggregator(
            self._is_hurried, options.language or None, self._tags
        )

    @property
    def options(self) -> SpeechOptions:
        return self._options

    def set_options(self, options: SpeechOptions) -> None:
        """Speak like this from the next sentence on."""
        if options.speed > 0 and self._options.speed > 0:
            self._rate.scale(options.speed / self._options.speed)
        self._options = options
        self._text_aggregator.set_language(options.language or None)

    def set_output_rate(self, rate_hz: int) -> None:
        """The rate of the sound that leaves, before the first of it does."""
        self._rate_hz = rate_hz
        self._gap = Portion(bytes(pcm_bytes(self._sentence_gap_ms, rate_hz)), 0)

    def can_generate_metrics(self) -> bool:
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            self._pace.reset()
        elif isinstance(frame, TTSSpeakFrame | AggregatedTextFrame) and not _is_silent(frame):
            frame.text = await speakable(frame.text, frame.text_type, self._tags)
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Names the sentence that words belong to: it goes out before them, in order."""
        segment = self._segment
        if isinstance(frame, TTSTextFrame):
            frame.segment_id = segment.id if segment else None
        elif isinstance(frame, AggregatedTextProgressFrame):
            if segment is not None:
                frame.segment_id, frame.text_type = segment.id, segment.text_type
        elif isinstance(frame, AggregatedTextFrame) and frame.will_be_spoken:
            self._segment = frame
            frame.pts = _IN_ORDER
        await super().push_frame(frame, direction)

    async def _handle_skipped_llm_text(self, frame: LLMTextFrame) -> None:
        """What is written and not spoken goes on to the letter, and as it comes; Pipecat would cut
        it into sentences."""
        written = AggregatedTextFrame(frame.text, TextType.SENTENCE, raw_text=frame.text)
        written.skip_tts = written.includes_inter_frame_spaces = True
        written.append_to_context = frame.append_to_context
        await self._audio_context_manager.put_frame(written)

    async def stop(self, frame: EndFrame) -> None:
        # A reply whose end never came would otherwise be waited for.
        await self.on_turn_context_completed()
        await outlast_interruption(super().stop(frame))

    async def tts_process_generator(
        self, context_id: str, generator: AsyncGenerator[Frame | None, None]
    ) -> None:
        """As Pipecat's, and leaves no generator open when it is cancelled."""
        async with aclosing(generator):
            await super().tts_process_generator(context_id, generator)

    async def on_turn_context_completed(self) -> None:
        """Close the turn's audio context, whether or not its last sentence made a sound."""
        context_id, self._turn_context_id = self._turn_context_id, None
        if context_id is None:
            return
        if self.audio_context_available(context_id):
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)
        else:
            self._tts_contexts.pop(context_id, None)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """One sentence as frames; the audio context opens with its first sound."""
        spoken = spoken_form(text, self._options.language)
        utterance = Utterance(text, self._rate_hz, self._rate, spoken)
        is_first = not self.audio_context_available(context_id)
        if is_first:
            await self.start_ttfb_metrics()
        await self.start_tts_usage_metrics(text)
        gap = None if is_first or _ends_in_clause(self._text_before) else self._gap
        words_done = 0
        try:
            async with aclosing(self._portions(utterance)) as portions:
                async for portion in portions:
                    await self._open_context(context_id)
                    if gap and gap.pcm:
                        yield await self._sound(gap, context_id)
                        gap = None
                    if portion.pcm:
                        yield await self._sound(portion, context_id)
                    for frame in self._words(utterance, words_done, portion, context_id):
                        yield frame
                    words_done = max(words_done, portion.words_done)
                    # An engine that is faster than the loop would keep what it made from leaving.
                    await asyncio.sleep(0)
        except Exception as error:
            # Whatever an engine throws, a plug-in's too: the call goes on without the sentence.
            await self.push_error(
                f"Speech failed: {error}", exception=error, category=ErrorCategory.UNKNOWN
            )
        self._text_before = text
        for frame in self._aggregated_frame_sequencer.complete_spoken_slot():
            yield frame

    async def _portions(self, utterance: Utterance) -> AsyncGenerator[Portion]:
        async with AsyncExitStack() as stack:
            sounds = self._engine.synthesize(utterance.spoken, self._options)
            close: Callable[[], Awaitable[None]] | None = getattr(sounds, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)
            while (sound := await self._next_sound(sounds)) is not None:
                for portion in utterance.take(sound, is_hurried=self._is_hurried()):
                    yield portion
            for portion in utterance.end():
                yield portion

    async def _next_sound(self, sounds: AsyncIterator[Audio]) -> Audio | None:
        try:
            async with asyncio.timeout(self._engine_timeout_s):
                return await anext(sounds, None)
        except TimeoutError as error:
            raise EngineTimeout(
                f"The engine made no sound for {self._engine_timeout_s:g} s."
            ) from error

    async def _open_context(self, context_id: str) -> None:
        if not self.audio_context_available(context_id):
            await self.create_audio_context(context_id)
            await self.append_to_audio_context(context_id, TTSStartedFrame(context_id=context_id))

    async def _sound(self, portion: Portion, context_id: str) -> Frame:
        duration_ms = Audio(portion.pcm, self._rate_hz).duration_ms
        await self._pace.room_for(duration_ms)
        self._pace.sent(duration_ms)
        return LiveAudioFrame(portion.pcm, self._rate_hz, 1, context_id=context_id)

    def _words(
        self, utterance: Utterance, before: int, portion: Portion, context_id: str
    ) -> list[Frame]:
        row, now = utterance.row, portion.words_done
        if now <= before:
            return []
        context = self._tts_contexts.get(context_id)
        text = row.between(before, now)
        word = TTSTextFrame(text.strip(), TextType.WORD, context_id=context_id)
        if row.joins_without_spaces:
            word.text = text if before else self._joined(text)
            word.includes_inter_frame_spaces = True
        word.append_to_context = context.append_to_context if context else True
        word.pts = _IN_ORDER
        if not self._reports_progress:
            return [word]
        progress = AggregatedTextProgressFrame(
            segment_id=0,
            context_id=context_id,
            text=row.text,
            text_type=TextType.SENTENCE,
            accumulated_text=row.between(0, now),
            remaining_text=row.between(now, len(row)),
        )
        progress.pts = _IN_ORDER
        return [word, progress]

    def _joined(self, text: str) -> str:
        """The beginning of a sentence with the space that parts it from the one before."""
        ideographs_meet = text[:1] > _LAST_NARROW and self._text_before[-1:] > _LAST_NARROW
        return text if ideographs_meet else f" {text}"

    def _is_hurried(self) -> bool:
        return self._pace.ahead_ms < HURRY_BELOW_MS

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:
        """Pipecat's way to change the voice does what ``set_options`` does."""
        changed = await super()._update_settings(delta)
        if "voice" in changed:
            self.set_options(replace(self._options, voice=str(self._settings.voice or "")))
        return changed


def _ends_in_clause(text: str) -> bool:
    return text.rstrip("\"')]”’")[-1:] in _CLAUSE_CLOSERS


def _is_silent(frame: TTSSpeakFrame | AggregatedTextFrame) -> bool:
    return isinstance(frame, AggregatedTextFrame) and bool(frame.skip_tts)
