"""Follows what leaves the pipeline and tells it as responses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)

from parley.core.audio import Audio
from parley.engines.spec import Usage
from parley.session.reply import ReplyOutcome, outcome_of
from parley.transports.realtime.record import Record
from parley.transports.realtime.response import Response, ResponseTerms, Send
from parley.transports.realtime.session_form import PCM_RATE_HZ

TURN_DETECTED = "turn_detected"
CLIENT_CANCELLED = "client_cancelled"


class Replies:
    """The responses of the call's own conversation, one at a time.

    A reply in which the agent's own tools are used is one response, however often the model is
    asked in it. ``usual`` gives the terms of a response that nobody asked for by an event;
    ``on_begin`` is told of each of those before its first event, unless the caller is speaking,
    ``on_end`` of every one's end. ``knows_turn``: the client has been told that its user speaks.
    """

    def __init__(
        self,
        send: Send,
        record: Record,
        usual: Callable[[], ResponseTerms],
        *,
        knows_turn: Callable[[], bool] = lambda: False,
        on_begin: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._record = record
        self._usual = usual
        self._knows_turn = knows_turn
        self._on_begin = on_begin
        self._on_end = on_end
        self.active: Response | None = None
        self.cut_short: list[str] = []
        """The messages of the response that the client has cancelled last."""
        self._outcome = ReplyOutcome()
        self._cut: Response | None = None
        self._is_deaf = False
        self._caller_speaks = False
        self._plays_until_s = 0.0
        self._is_thinking = False
        self._is_speaking = False
        self._tools_running = 0
        self._goes_on = False
        self._tell: dict[type[Frame], Callable[[Any], None]] = {
            LLMFullResponseStartFrame: self._thinking,
            LLMFullResponseEndFrame: self._thought,
            AggregatedTextFrame: self._wrote,
            TTSStartedFrame: self._speaking,
            TTSTextFrame: self._said,
            TTSStoppedFrame: self._spoke,
            FunctionCallsStartedFrame: self._tools_started,
            FunctionCallResultFrame: self._tool_answered,
            FunctionCallCancelFrame: self._tool_cancelled,
        }

    def begin(self, terms: ResponseTerms) -> Response:
        """A response that the client has asked for."""
        self.flush_cut()
        self.active = Response(terms, self._send, self._record)
        self._outcome = ReplyOutcome()
        # Until the model's turn begins there is nothing yet that could be over.
        self._goes_on = True
        self.active.begin()
        return self.active

    def cancel(self) -> None:
        """The client wants no more of it. Until the interruption has come through, what still
        leaves the pipeline is not told."""
        self._is_deaf = True
        output = self.active.output if self.active else []
        self.cut_short = [item["id"] for item in output if item["type"] == "message"]
        self._interrupted(CLIENT_CANCELLED)
        self.flush_cut()

    def flush_cut(self) -> None:
        """Tell of the response that an interruption has ended: after what interrupted it."""
        cut, self._cut = self._cut, None
        if cut is not None:
            cut.finish("cancelled", reason=TURN_DETECTED)
            self._on_end()

    def end(self) -> None:
        """The call is over."""
        self.flush_cut()
        if self.active is not None:
            active, self.active = self.active, None
            active.finish("cancelled", reason=CLIENT_CANCELLED)

    @property
    def left_s(self) -> float:
        """How long a client still plays that plays everything as soon as it comes."""
        return max(0.0, self._plays_until_s - time.monotonic())

    # ── from the pipeline ────────────────────────────────────────────────────────────────

    def frame(self, frame: Frame) -> str:
        """A frame that leaves the output. Returns the name of the item that is being said."""
        if isinstance(frame, UserStartedSpeakingFrame | UserStoppedSpeakingFrame):
            self._caller_speaks = isinstance(frame, UserStartedSpeakingFrame)
        elif isinstance(frame, InterruptionFrame):
            if not self._is_deaf:
                self._interrupted(TURN_DETECTED)
            self._is_deaf = False
        elif not self._is_deaf and (tell := self._tell.get(type(frame))):
            tell(frame)
        return self.active.open_item if self.active else ""

    def sound(self, pcm: bytes) -> None:
        """Speech at 24 kHz that goes out."""
        if self.active is not None and self._is_speaking and not self._is_deaf:
            self.active.sound(pcm)
            length_s = Audio(pcm, PCM_RATE_HZ).duration_ms / 1000
            self._plays_until_s = max(self._plays_until_s, time.monotonic()) + length_s

    def _thinking(self, _: LLMFullResponseStartFrame) -> None:
        self._ensure()
        self._is_thinking = True
        self._goes_on = False

    def _thought(self, frame: LLMFullResponseEndFrame) -> None:
        self._is_thinking = False
        outcome = outcome_of(frame)
        if outcome is not None and outcome.was_cut:
            # The interruption itself comes right behind.
            return
        if outcome is not None:
            self._outcome = outcome
            if self.active is not None and outcome.usage is not None:
                self.active.usage = _sum(self.active.usage, outcome.usage)
        if self.active is not None and not self._is_speaking and not self._outcome.error:
            self.active.close_message()
        self._settle()

    def _speaking(self, _: TTSStartedFrame) -> None:
        self._ensure()
        self._is_speaking = True

    def _said(self, frame: TTSTextFrame) -> None:
        if self.active is not None and self._is_speaking:
            self._add(frame.text, joins=bool(frame.includes_inter_frame_spaces))

    def _wrote(self, frame: AggregatedTextFrame) -> None:
        if self.active is not None and frame.skip_tts:
            self._add(frame.text, joins=bool(frame.includes_inter_frame_spaces))

    def _spoke(self, _: TTSStoppedFrame) -> None:
        self._is_speaking = False
        if self.active is not None:
            self.active.close_message()
        self._settle()

    def _tools_started(self, frame: FunctionCallsStartedFrame) -> None:
        self._tools_running += len(frame.function_calls)

    def _tool_answered(self, frame: FunctionCallResultFrame) -> None:
        self._tools_running = max(0, self._tools_running - 1)
        ends = frame.properties is not None and frame.properties.run_llm is False
        self._goes_on = self._goes_on or not ends
        self._settle()

    def _tool_cancelled(self, _: FunctionCallCancelFrame) -> None:
        self._tools_running = max(0, self._tools_running - 1)
        self._settle()

    # ── beginnings and ends ──────────────────────────────────────────────────────────────

    def _ensure(self) -> None:
        if self.active is None:
            self.flush_cut()
            if not self._caller_speaks:
                self._on_begin()
            self._outcome = ReplyOutcome()
            self.active = Response(self._usual(), self._send, self._record)
            self.active.begin()

    def _add(self, text: str, *, joins: bool) -> None:
        assert self.active is not None
        is_first = not self.active.open_message_has_text
        self.active.words(text if joins or is_first else f" {text}")

    def _interrupted(self, reason: str) -> None:
        active, self.active = self.active, None
        self._is_thinking = self._is_speaking = self._goes_on = False
        self._tools_running = 0
        self._plays_until_s = 0.0
        if active is None:
            return
        if reason == TURN_DETECTED:
            self._cut = active
            if self._knows_turn():
                self.flush_cut()
        else:
            active.finish("cancelled", reason=reason)
            self._on_end()

    def _hand_back(self) -> None:
        """Tell of the tools that the client is to run, behind what is said before them."""
        handed_back, self._outcome = (
            self._outcome.handed_back,
            replace(self._outcome, handed_back=()),
        )
        if self.active is not None and handed_back:
            self.active.request_tools(handed_back)

    def _settle(self) -> None:
        busy = self._is_thinking or self._is_speaking or self._tools_running or self._goes_on
        if not self._is_speaking:
            self._hand_back()
        if self.active is None or busy:
            return
        active, self.active = self.active, None
        outcome = self._outcome
        if outcome.error:
            active.finish("failed", error=outcome.error)
        elif outcome.finish == "length":
            active.finish("incomplete", reason="max_output_tokens")
        else:
            active.finish()
        self._on_end()


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens
    )
