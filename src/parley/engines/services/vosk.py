"""Vosk's server as a service for any Pipecat pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, cast

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    SpeechControlParamsFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from pydantic import ValidationError

from parley.core.audio import Audio
from parley.core.errors import BadSettings, ParleyError
from parley.engines.options import option_problem
from parley.engines.spec import TranscribeOptions, TranscriptPart
from parley.engines.stt.live import LiveTranscriber
from parley.engines.stt.utterance import Utterance
from parley.engines.stt.vosk import SPEC, VoskOptions, VoskTranscriber

PAUSE_AFTER_FAILURE_S = 2.0


class VoskSTTService(LiveTranscriber):
    """Hears with the Vosk servers at ``ws_url`` (one URL, a list, or several with commas).

    Where the pipeline detects voice activity (``LLMUserAggregatorParams(vad_analyzer=…)``, or a
    ``VADProcessor`` before this service), it hears what is marked as speech, and each utterance
    ends in one final text. Where nothing does, all sound goes to Vosk, whose own pauses end the
    texts: a pipeline written for older versions of Pipecat, with ``vad_analyzer`` in the
    transport's parameters (which this version ignores), is not deaf.
    ``options`` are those of the engine ``vosk``. Raises ``BadSettings`` for one that is wrong.
    """

    def __init__(
        self, *, ws_url: str | Sequence[str] | None, language: str = "en", **options: Any
    ) -> None:
        self._vosk = VoskTranscriber(_read_options({"ws_url": ws_url, **options}))
        super().__init__(self._vosk, TranscribeOptions(language=language))
        self._has_vad = False
        self._stream: Utterance | None = None
        self._streaming: asyncio.Task[None] | None = None

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None:
        await super().process_audio_frame(frame, direction)
        if self._has_vad or self.is_muted or not frame.audio:
            return
        if self._streaming is None:
            self._stream = Utterance()
            hearing = self._hear_all(self._stream)
            self._streaming = cast("asyncio.Task[None]", self.create_task(hearing))
        if self._stream is not None:
            self._stream.put(Audio(frame.audio, frame.sample_rate))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        announces_vad = isinstance(frame, SpeechControlParamsFrame) and frame.vad_params is not None
        if announces_vad or isinstance(frame, VADUserStartedSpeakingFrame):
            self._has_vad = True
            await self._stop_streaming()
        await super().process_frame(frame, direction)

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._vosk.close()

    async def _hear_all(self, stream: Utterance) -> None:
        """Hears without end; after a failure, again in a while."""
        while True:
            try:
                parts = self._vosk.transcribe(stream.audio(), self._options)
                async with aclosing(parts):
                    async for part in parts:
                        await self._push_part(part)
            except ParleyError as error:
                self._stream = None
                await self.push_error(
                    error_msg=str(error), exception=error, category=ErrorCategory.UNKNOWN
                )
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
                stream = self._stream = Utterance()

    async def _push_part(self, part: TranscriptPart) -> None:
        if not part.text:
            return
        if part.final:
            frame = TranscriptionFrame(part.text, "", time_now_iso8601(), finalized=True)
        else:
            frame = InterimTranscriptionFrame(part.text, "", time_now_iso8601())
        await self.push_frame(frame)

    async def _stop_hearing(self) -> None:
        await self._stop_streaming()
        await super()._stop_hearing()

    async def _stop_streaming(self) -> None:
        streaming, self._streaming, self._stream = self._streaming, None, None
        if streaming is not None:
            await self.cancel_task(streaming)


def _read_options(options: dict[str, Any]) -> VoskOptions:
    if not options["ws_url"]:
        raise BadSettings(
            "VoskSTTService needs ws_url.",
            hint="Give it the address of a Vosk server, such as ws://localhost:2700.",
        )
    try:
        return VoskOptions.model_validate(options)
    except ValidationError as error:
        problems = "\n".join(option_problem(SPEC, each) for each in error.errors())
        raise BadSettings(problems) from error
