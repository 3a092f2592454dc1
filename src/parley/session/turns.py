"""Turn-taking: when the caller's turn starts, when it ends, and what interrupts the agent."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pipecat.audio.vad.vad_controller import VADController
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMUserAggregator,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    VADUserTurnStartStrategy,
    WakePhraseUserTurnStartStrategy,
)
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from parley.agents.schema import TurnTaking
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import CallVadAnalyzer, SileroVad

# A turn that no strategy ends (no transcript came, say) is ended after this silence.
FORGOTTEN_TURN_S = 2.0
# How much later than it should a transcript may come.
LATE_S = 1.0


@dataclass(frozen=True)
class Listening:
    """The models that turn-taking needs, loaded once per process."""

    vad: SileroVad
    smart_turn: SmartTurn

    def warm_up(self) -> None:
        self.vad.warm_up()
        self.smart_turn.warm_up()

    def close(self) -> None:
        self.smart_turn.close()


class CallerContext(LLMUserAggregator):
    """Pipecat's user aggregator with the agent's turn-taking.

    It is the last processor that needs the microphone: what it has heard goes no further.
    """

    def __init__(
        self,
        context: LLMContext,
        listening: Listening,
        turn_taking: TurnTaking,
        *,
        transcript_within_s: float = 0.0,
    ) -> None:
        wish = turn_taking.vad
        vad = listening.vad.analyzer(
            confidence=wish.confidence,
            start_ms=wish.start_ms,
            stop_ms=wish.stop_ms,
            min_volume=wish.min_volume,
        )
        super().__init__(
            context,
            params=LLMUserAggregatorParams(
                vad_analyzer=vad,
                user_turn_strategies=UserTurnStrategies(
                    start=_start_strategies(turn_taking),
                    stop=[_stop_strategy(listening, turn_taking, vad)],
                ),
                user_turn_stop_timeout=max(FORGOTTEN_TURN_S, transcript_within_s + LATE_S),
                # The session answers an empty turn itself, without asking the model.
                empty_user_turn=None,
            ),
        )

        self._speech_started_s = 0.0
        self.last_speech_ms = 0.0

    async def _on_vad_speech_started(self, controller: VADController) -> None:
        self._speech_started_s = time.monotonic()
        await super()._on_vad_speech_started(controller)

    async def _on_vad_speech_stopped(self, controller: VADController) -> None:
        self.last_speech_ms = (time.monotonic() - self._speech_started_s) * 1000
        await super()._on_vad_speech_stopped(controller)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if not isinstance(frame, InputAudioRawFrame):
            await super().push_frame(frame, direction)


def _start_strategies(turn_taking: TurnTaking) -> list[BaseUserTurnStartStrategy]:
    interrupts = turn_taking.interruptions
    starts: list[BaseUserTurnStartStrategy] = [
        VADUserTurnStartStrategy(enable_interruptions=interrupts),
        TranscriptionUserTurnStartStrategy(enable_interruptions=interrupts),
    ]
    if turn_taking.wake_phrases:
        wake = WakePhraseUserTurnStartStrategy(
            phrases=list(turn_taking.wake_phrases), enable_interruptions=interrupts
        )
        starts.insert(0, wake)
    return starts


def _stop_strategy(
    listening: Listening, turn_taking: TurnTaking, vad: CallVadAnalyzer
) -> BaseUserTurnStopStrategy:
    if turn_taking.endpointing == "silence":
        # The VAD has already waited for its own share of the silence when the timer starts.
        rest_ms = max(0, turn_taking.silence_ms - turn_taking.vad.stop_ms)
        return SilenceStop(user_speech_timeout=rest_ms / 1000)
    analyzer = listening.smart_turn.analyzer(
        unsure_wait_ms=turn_taking.unsure_wait_ms, pause_ms=lambda: vad.pause_ms
    )
    return SmartStop(turn_analyzer=analyzer)


class SmartStop(TurnAnalyzerUserTurnStopStrategy):
    """Ends the turn when Smart Turn is sure, or was unsure for long enough.

    Pipecat's strategy waits for words. A recogniser that has finished and understood nothing
    (a final transcript without text) leaves nothing to wait for, so the turn ends as well.
    """

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        if self._turn_complete and self._transcript_finalized and not self._text:
            await self._discard_pending_end_of_turn()
            await self.trigger_user_turn_stopped()
            return
        await super()._maybe_trigger_user_turn_stopped()


class SilenceStop(SpeechTimeoutUserTurnStopStrategy):
    """Ends the turn after plain silence, whether or not words were understood in it."""

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        understood_nothing = self._transcript_finalized and not self._text
        waited = self._user_speech_wait_done and self._stt_wait_done
        if understood_nothing and waited and not self._vad_user_speaking:
            await self.trigger_user_turn_stopped()
            return
        await super()._maybe_trigger_user_turn_stopped()
