"""Turn-taking: when the caller's turn starts, when it ends, and what interrupts the agent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.audio.vad.vad_controller import VADController
from pipecat.frames.frames import Frame, InputAudioRawFrame, LLMContextUserTurnFrame
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
from pipecat.turns.user_start.base_user_turn_start_strategy import UserTurnStartedParams
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
)
from pipecat.turns.user_stop.base_user_turn_stop_strategy import UserTurnStoppedParams
from pipecat.turns.user_turn_controller import UserTurnController
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from parley.agents.schema import TurnTaking
from parley.core.audio import Audio
from parley.engines.llm.live import ReplyFrame
from parley.engines.stt.orders import CommitFrame, EndTurnFrame, ListenFrame
from parley.engines.turn.smart_turn import SmartTurn
from parley.engines.vad.silero import CallVadAnalyzer, SileroVad
from parley.session.items import Items, new_item_id
from parley.session.keypad import DigitCollector, Keypad
from parley.session.turn_ends import SilenceStop, SmartStop, end_now

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


@dataclass
class TurnTakingFrame(ListenFrame):
    """Who speaks when, from here on. None: turns end when they are committed.

    With ``answers`` off a turn that has ended is not answered.
    """

    turn_taking: TurnTaking | None = None
    answers: bool = True


@dataclass
class CallerTurn:
    """What the caller is saying, or said last: its name, and where in the caller's sound it is."""

    item_id: str = field(default_factory=new_item_id)
    started_ms: float = 0.0
    stopped_ms: float = 0.0
    is_open: bool = False


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
        items: Items,
        transcript_within_s: float = 0.0,
    ) -> None:
        vad = listening.vad.analyzer(
            confidence=turn_taking.vad.confidence,
            start_ms=turn_taking.vad.start_ms,
            stop_ms=turn_taking.vad.stop_ms,
            min_volume=turn_taking.vad.min_volume,
        )
        super().__init__(
            context,
            params=LLMUserAggregatorParams(
                vad_analyzer=vad,
                user_turn_strategies=_strategies(listening, turn_taking, vad),
                user_turn_stop_timeout=max(FORGOTTEN_TURN_S, transcript_within_s + LATE_S),
                # The session answers an empty turn itself, without asking the model.
                empty_user_turn=None,
            ),
        )
        self._listening = listening
        self._items = items
        self._vad = vad
        self._turn_taking: TurnTaking | None = turn_taking
        self._parked_vad: VADController | None = None
        self._heard_ms = 0.0
        self._voice_started_ms = 0.0
        self._speech_started_s = 0.0
        self.last_speech_ms = 0.0
        self.answers = True
        self.turn = CallerTurn()
        self.keypad = Keypad()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InputAudioRawFrame):
            self._heard_ms += Audio(frame.audio, frame.sample_rate).duration_ms
        elif isinstance(frame, TurnTakingFrame):
            await self._take_turns(frame)
            frame.taken.set()
        elif isinstance(frame, CommitFrame):
            await self._commit(frame.item_id)
        elif isinstance(frame, EndTurnFrame):
            frame.had_turn = await self._end_turn()
            frame.taken.set()
        elif isinstance(frame, ReplyFrame):
            frame.context = self._context
        await super().process_frame(frame, direction)

    async def _take_turns(self, frame: TurnTakingFrame) -> None:
        self.answers = frame.answers
        wish = frame.turn_taking
        if wish == self._turn_taking:
            # Setting the same again would forget a voice that is being heard.
            return
        self._turn_taking = wish
        if wish is None:
            strategies = UserTurnStrategies(
                start=[BaseUserTurnStartStrategy()], stop=[BaseUserTurnStopStrategy()]
            )
            await self._park_vad()
        else:
            self._vad.set_params(_vad_params(wish))
            await self._unpark_vad()
            strategies = _strategies(self._listening, wish, self._vad)
        await self._user_turn_controller.update_strategies(strategies)

    async def _park_vad(self) -> None:
        if self._vad_controller is not None:
            await self._vad_controller.stop()
            self._parked_vad, self._vad_controller = self._vad_controller, None

    async def _unpark_vad(self) -> None:
        if self._parked_vad is not None:
            self._vad_controller, self._parked_vad = self._parked_vad, None
            await self._vad_controller.start()

    async def cleanup(self) -> None:
        self._vad_controller = self._vad_controller or self._parked_vad
        await super().cleanup()

    async def _commit(self, item_id: str) -> None:
        """What was understood since the last commit is what the caller said, answered by no one
        until that is asked for."""
        self.turn = CallerTurn(item_id, self.turn.stopped_ms, self._heard_ms)
        if not await self._push_aggregation(run_llm=False):
            await self.broadcast_frame(LLMContextUserTurnFrame, text="", timestamp="")

    async def _end_turn(self) -> bool:
        """End the turn that is open, answered by no one."""
        if not self.turn.is_open:
            return False
        answers, self.answers = self.answers, False
        self.turn.stopped_ms = self._heard_ms
        self._vad.fall_quiet()
        await end_now(self._user_turn_controller)
        self.answers = answers
        return True

    def shown(self, text: str) -> str:
        """What others may see of what the caller says."""
        collector = self.keypad.collector
        return collector.shown(text) if collector is not None else text

    async def _push_aggregation(self, *, run_llm: bool = True) -> str:
        if self.keypad.collector is not None:
            return await self._hand_over(self.keypad.collector)
        said = await super()._push_aggregation(run_llm=run_llm and self.answers)
        if said:
            self._items.name_last(self.turn.item_id, self.role)
        return said

    async def _hand_over(self, collector: DigitCollector) -> str:
        """What was said belongs to a number that is being asked for, and to nobody else."""
        said = self.aggregation_string()
        if not said:
            return ""
        await self.reset()
        await self.broadcast_frame(
            LLMContextUserTurnFrame,
            text=collector.shown(said),
            timestamp=self._user_turn_start_timestamp,
        )
        collector.take_words(said)
        return said

    async def _on_user_turn_started(
        self,
        controller: UserTurnController,
        strategy: BaseUserTurnStartStrategy,
        params: UserTurnStartedParams,
    ) -> None:
        self.turn = CallerTurn(started_ms=self._voice_started_ms, is_open=True)
        if self.keypad.collector is not None:
            self.keypad.collector.take_turn(is_open=True)
        await super()._on_user_turn_started(controller, strategy, params)

    async def _on_user_turn_stopped(
        self,
        controller: UserTurnController,
        strategy: BaseUserTurnStopStrategy,
        params: UserTurnStoppedParams,
    ) -> None:
        self.turn.is_open = False
        await super()._on_user_turn_stopped(controller, strategy, params)
        if self.keypad.collector is not None:
            self.keypad.collector.take_turn(is_open=False)

    async def _on_vad_speech_started(self, controller: VADController) -> None:
        self._speech_started_s = time.monotonic()
        self._voice_started_ms = max(0, self._heard_ms - self._vad.params.start_secs * 1000)
        await super()._on_vad_speech_started(controller)

    async def _on_vad_speech_stopped(self, controller: VADController) -> None:
        self.last_speech_ms = (time.monotonic() - self._speech_started_s) * 1000
        self.turn.stopped_ms = max(0, self._heard_ms - self._vad.params.stop_secs * 1000)
        await super()._on_vad_speech_stopped(controller)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if not isinstance(frame, InputAudioRawFrame):
            await super().push_frame(frame, direction)


def _strategies(
    listening: Listening, turn_taking: TurnTaking, vad: CallVadAnalyzer
) -> UserTurnStrategies:
    return UserTurnStrategies(
        start=_start_strategies(turn_taking), stop=[_stop_strategy(listening, turn_taking, vad)]
    )


def _vad_params(turn_taking: TurnTaking) -> VADParams:
    wish = turn_taking.vad
    return VADParams(
        confidence=wish.confidence,
        start_secs=wish.start_ms / 1000,
        stop_secs=wish.stop_ms / 1000,
        min_volume=wish.min_volume,
    )


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
