"""What the caller hears when something goes wrong: a sentence, never a dead line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pipecat.frames.frames import ErrorFrame, SpeechOutputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from parley.agents.schema import Agent
from parley.core.errors import ParleyError
from parley.core.events import CallFailed, Event
from parley.core.log import get_logger
from parley.session.control import CallControl
from parley.session.first_words import SPARE_VOICE_RATE_HZ
from parley.session.house import House
from parley.session.pipeline import CallPipeline
from parley.session.worker import CallWorker

log = get_logger(__name__)

# One sentence is enough for a failure that shows up as several errors.
APOLOGY_PAUSE_S = 3.0
MAX_FAILURES_IN_A_ROW = 4
MAX_UNHEARD_IN_A_ROW = 2
MEANT_SPEECH_MS = 450

_KINDS: tuple[tuple[type[FrameProcessor], str], ...] = (
    (STTService, "stt"),
    (LLMService, "llm"),
    (TTSService, "tts"),
)


class Mishaps:
    """Listens for failing engines and for speech that nobody understood."""

    def __init__(
        self, agent: Agent, control: CallControl, house: House, announce: Callable[[Event], None]
    ) -> None:
        self._sorry = agent.sorry
        self._control = control
        self._spare_voice = house.spare_voice
        self._announce = announce
        self._last_apology_s = 0.0
        self._failures = 0
        self._unheard = 0
        self._is_deaf = False
        self._is_mute = False
        self._speaks = True

    def watch(self, worker: CallWorker, line: CallPipeline, *, speaks: bool = True) -> None:
        """With ``speaks`` off failures are told as events only."""
        self._speaks = speaks
        worker.add_event_handler("on_pipeline_error", self._on_error)
        line.caller.add_event_handler("on_user_turn_stopped", self._on_turn_stopped)
        line.agent.add_event_handler("on_assistant_turn_started", self._on_reply_started)
        self._line = line

    async def _on_error(self, _worker: CallWorker, frame: ErrorFrame) -> None:
        kind = next((k for t, k in _KINDS if isinstance(frame.processor, t)), "")
        code = "internal_error"
        if kind:
            code = "engine_failed"
        if isinstance(frame.exception, ParleyError):
            code = frame.exception.code
        log.error("engine_failed", kind=kind, error=frame.error)
        call_id = self._control.call_id
        self._announce(CallFailed(call_id=call_id, code=code, message=frame.error, kind=kind))
        # A voice that is away fails at each sentence of a reply: that is one failure.
        if not (kind == "tts" and self._is_mute):
            self._failures += 1
        self._is_mute = self._is_mute or kind == "tts"
        # The turn will end without words, for which the caller is asked only once.
        self._is_deaf = self._is_deaf or kind == "stt"
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            self._control.end("error")
        elif not (kind == "stt" and self._line.caller.turn.is_open):
            await self._apologise(kind)

    async def _apologise(self, kind: str) -> None:
        if not kind or not self._speaks or self._line.llm.is_writing:
            return
        if time.monotonic() - self._last_apology_s < APOLOGY_PAUSE_S:
            return
        self._last_apology_s = time.monotonic()
        if kind == "tts":
            if spare_voice := self._spare_voice():
                await self._control.worker.queue_frame(
                    SpeechOutputAudioRawFrame(spare_voice, SPARE_VOICE_RATE_HZ, 1)
                )
        else:
            await self._control.say(self._sorry.stt if kind == "stt" else self._sorry.llm)

    async def _on_reply_started(self, *_: Any) -> None:
        self._is_mute = False

    async def _on_turn_stopped(self, _caller: Any, _strategy: Any, message: Any) -> None:
        if message.content:
            self._failures = 0
            self._unheard = 0
            self._is_deaf = False
            return
        if self._is_deaf:
            # Not before: it would have been said into the caller's words.
            self._is_deaf = False
            await self._apologise("stt")
            return
        self._unheard += 1
        was_speech = self._line.caller.last_speech_ms >= MEANT_SPEECH_MS
        asks = self._speaks and self._line.caller.answers
        if was_speech and asks and self._unheard <= MAX_UNHEARD_IN_A_ROW:
            await self._control.say(self._sorry.stt)
