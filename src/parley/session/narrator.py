"""Watches the pipeline and tells the bus, and the call's own transport, in our own events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    DataFrame,
    Frame,
    InterimTranscriptionFrame,
    LLMContextUserTurnFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    MetricsFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frame_processor import FrameDirection

from parley.agents.schema import TurnBudget
from parley.core.bus import Bus
from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    AgentText,
    BudgetOverrun,
    Event,
    InjectionSuspected,
    TurnEnded,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)
from parley.core.log import get_logger
from parley.session.latency import TurnClock
from parley.session.media import CallMedia
from parley.session.suspicion import suspicions
from parley.session.turns import CallerContext

log = get_logger(__name__)


@dataclass
class ReplyEndedFrame(DataFrame):
    """The agent's context has taken in a reply: ``text`` is what was really played of it."""

    text: str = ""
    was_interrupted: bool = False


class Announcer:
    """Says each event once: to the bus, and in order and without loss to the call's transport."""

    def __init__(
        self, call_id: str, bus: Bus, media: CallMedia, note: Callable[[Event], None]
    ) -> None:
        self.call_id = call_id
        self._bus = bus
        self._media = media
        self._note = note
        self._also: list[Callable[[Event], None]] = []
        self._waiting: asyncio.Queue[Event | None] = asyncio.Queue()

    def tell_too(self, listener: Callable[[Event], None]) -> None:
        """Tell a part of the call of each event, in order, before anybody else is told."""
        self._also.append(listener)

    def announce(self, event: Event) -> None:
        for listener in self._also:
            listener(event)
        self._bus.publish(event)
        self._note(event)
        self._waiting.put_nowait(event)

    def deliver_last(self, event: Event) -> None:
        """Hand the transport its last event; the bus gets it when everything is free."""
        self._waiting.put_nowait(event)
        self._waiting.put_nowait(None)

    async def deliver_all(self) -> None:
        while (event := await self._waiting.get()) is not None:
            try:
                await self._media.deliver(event)
            except Exception as error:
                # A transport's fault with one event must not cost it those behind it.
                log.warning("event_not_delivered", bus_event=event.name, error=str(error))


class Narrator(BaseObserver):
    """Turns the frames that pass between processors into events.

    A frame that is broadcast goes both ways as two frames; only the one that travels downstream
    is told of.
    """

    def __init__(
        self,
        announcer: Announcer,
        media: CallMedia,
        caller: CallerContext,
        budget: TurnBudget | None = None,
    ) -> None:
        super().__init__(observe_every_push=False)
        self._announce = announcer.announce
        self._call_id = announcer.call_id
        self._media = media
        self._caller = caller
        self._budget = budget
        self._clock = TurnClock()
        self._replying: TurnClock | None = None
        self._unheard: TurnClock | None = None
        self._heard_so_far: list[str] = []
        self._tell: dict[type[Frame], Callable[[Frame, float], None]] = {
            UserStartedSpeakingFrame: self._user_started,
            VADUserStoppedSpeakingFrame: self._voice_stopped,
            UserStoppedSpeakingFrame: self._user_stopped,
            InterimTranscriptionFrame: self._partial,
            TranscriptionFrame: self._utterance,
            LLMContextUserTurnFrame: self._understood,
            LLMMessagesAppendFrame: self._typed,
            LLMTextFrame: self._agent_text,
            TTSSpeakFrame: self._agent_says,
            MetricsFrame: self._metrics,
            BotStartedSpeakingFrame: self._agent_started,
            BotStoppedSpeakingFrame: self._agent_stopped,
            ReplyEndedFrame: self._reply_ended,
        }

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.direction is not FrameDirection.DOWNSTREAM:
            return
        tell = self._tell.get(type(data.frame))
        if tell is not None:
            tell(data.frame, data.timestamp / 1e9)

    # ── the caller ───────────────────────────────────────────────────────────────────────

    def _user_started(self, frame: Frame, at_s: float) -> None:
        self._clock = TurnClock()
        self._heard_so_far.clear()
        turn = self._caller.turn
        self._announce(
            UserSpeechStarted(call_id=self._call_id, item_id=turn.item_id, audio_ms=turn.started_ms)
        )

    def _voice_stopped(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, VADUserStoppedSpeakingFrame)
        self._clock.vad_stopped_s = at_s
        self._clock.speech_ended_s = at_s - frame.stop_secs
        self._clock.sure = None

    def _user_stopped(self, frame: Frame, at_s: float) -> None:
        if self._clock.turn_ended_s is None:
            self._clock.turn_ended_s = at_s
            self._unheard = self._clock
        turn = self._caller.turn
        self._announce(
            UserSpeechStopped(call_id=self._call_id, item_id=turn.item_id, audio_ms=turn.stopped_ms)
        )

    def _partial(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, InterimTranscriptionFrame)
        text = self._caller.shown(" ".join([*self._heard_so_far, frame.text]))
        self._tell_heard(text, final=False)

    def _utterance(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, TranscriptionFrame)
        self._clock.transcript_s = at_s
        if frame.text.strip():
            self._heard_so_far.append(frame.text)
            self._tell_heard(self._caller.shown(" ".join(self._heard_so_far)), final=False)

    def _typed(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, LLMMessagesAppendFrame)
        for message in frame.messages:
            if isinstance(message, dict) and message.get("role") == "user":
                text = str(message.get("content", ""))
                self._announce(UserTranscript(call_id=self._call_id, text=text, final=True))
                self._suspect(text)

    def _understood(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, LLMContextUserTurnFrame)
        self._clock.turn_ended_s = at_s
        self._replying = self._clock
        self._tell_heard(frame.text, final=True)
        self._suspect(frame.text)

    def _tell_heard(self, text: str, *, final: bool) -> None:
        item_id = self._caller.turn.item_id
        self._announce(
            UserTranscript(call_id=self._call_id, text=text, final=final, item_id=item_id)
        )

    def _suspect(self, text: str) -> None:
        for rule in suspicions(text):
            self._announce(InjectionSuspected(call_id=self._call_id, where="user", rule=rule))

    # ── the agent ────────────────────────────────────────────────────────────────────────

    def _agent_text(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, LLMTextFrame)
        if self._replying and self._replying.first_text_s is None:
            self._replying.first_text_s = at_s
        self._announce(AgentText(call_id=self._call_id, text=frame.text))

    def _agent_says(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, TTSSpeakFrame)
        # A turn of which nothing was understood is answered by a sentence of ours, if at all.
        unheard, self._unheard = self._unheard, None
        if self._replying is None and unheard is not None and unheard.was_just_ended(at_s):
            unheard.first_text_s = at_s
            self._replying = unheard
        self._announce(AgentText(call_id=self._call_id, text=frame.text))

    def _metrics(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, MetricsFrame)
        for metric in frame.data:
            if isinstance(metric, TurnMetricsData):
                self._clock.sure = metric.is_complete

    def _agent_started(self, frame: Frame, at_s: float) -> None:
        replying = self._replying
        if replying and replying.first_text_s is None:
            # What is heard before the reply has a word tells the caller to wait.
            replying.filler_s = replying.filler_s or at_s
        elif replying and replying.first_sound_s is None:
            replying.first_sound_s = at_s
        self._announce(AgentSpeechStarted(call_id=self._call_id))

    def _agent_stopped(self, frame: Frame, at_s: float) -> None:
        played_ms = self._media.played_ms
        self._announce(AgentSpeechStopped(call_id=self._call_id, played_ms=played_ms))

    def _reply_ended(self, frame: Frame, at_s: float) -> None:
        assert isinstance(frame, ReplyEndedFrame)
        stages = self._replying.stages() if self._replying else {}
        self._replying = None
        self._announce(
            TurnEnded(
                call_id=self._call_id,
                stages=stages,
                interrupted=frame.was_interrupted,
                heard=frame.text,
            )
        )
        for stage, took_ms, budget_ms in self._budget.overruns(stages) if self._budget else ():
            self._announce(
                BudgetOverrun(
                    call_id=self._call_id, stage=stage, took_ms=took_ms, budget_ms=budget_ms
                )
            )
