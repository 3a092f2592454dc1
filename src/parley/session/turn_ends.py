"""What ends a caller's turn: Smart Turn's verdict, or plain silence."""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import VADUserStoppedSpeakingFrame
from pipecat.turns.user_stop import (
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_controller import UserTurnController

IS_KNOWN = True
"""Pipecat advises against any stop time but its own, since its table of how late recognisers are
was measured with that. Our recognisers say themselves when they are done."""


async def end_now(turns: UserTurnController) -> None:
    """End the turn that is open, though the caller may be speaking."""
    await turns.process_frame(VADUserStoppedSpeakingFrame(stop_secs=0.0))
    for strategy in turns.user_turn_strategies.stop or ():
        await strategy.trigger_user_turn_stopped()


class SmartStop(TurnAnalyzerUserTurnStopStrategy):
    """Ends the turn when Smart Turn is sure, or was unsure for long enough.

    Pipecat's strategy waits for words. A recogniser that has finished and understood nothing
    (a final transcript without text) leaves nothing to wait for, so the turn ends as well.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._stop_secs_warned = IS_KNOWN

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        if self._turn_complete and self._transcript_finalized and not self._text:
            await self._discard_pending_end_of_turn()
            await self.trigger_user_turn_stopped()
            return
        await super()._maybe_trigger_user_turn_stopped()


class SilenceStop(SpeechTimeoutUserTurnStopStrategy):
    """Ends the turn after plain silence, whether or not words were understood in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._stop_secs_warned = IS_KNOWN

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        understood_nothing = self._transcript_finalized and not self._text
        waited = self._user_speech_wait_done and self._stt_wait_done
        if understood_nothing and waited and not self._vad_user_speaking:
            await self.trigger_user_turn_stopped()
            return
        await super()._maybe_trigger_user_turn_stopped()
