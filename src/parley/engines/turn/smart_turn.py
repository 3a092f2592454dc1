"""Smart Turn v3 with one model session and one small thread pool for the whole process."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.metrics.metrics import MetricsData

from parley.engines.onnx import load_carried_model

MODEL = "smart-turn-v3.2-cpu.onnx"
RATE_HZ = 16_000
# Long enough not to be the gap between two words, short enough to be done in time.
EARLY_PAUSE_MS = 96
FULL_PAUSE_MS = 200
LOW_PRIORITY = 10

Verdict = tuple[EndOfTurnState, MetricsData | None]


class SmartTurn:
    """Loads the model that Pipecat carries, once, and gives each call its own analyzer.

    Sharing saves 11 MB a call, and the 35 MB arena that each session grows once it is used.
    """

    def __init__(self, *, threads: int = 2) -> None:
        self._session: onnxruntime.InferenceSession | None = None
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix="smart-turn", initializer=_yield_to_event_loop
        )

    def warm_up(self) -> None:
        """Load the model and judge a second of silence."""
        self._session = load_carried_model("pipecat.audio.turn.smart_turn.data", MODEL)
        self.analyzer(unsure_wait_ms=600).judge(np.zeros(RATE_HZ, dtype=np.float32))

    def analyzer(
        self, *, unsure_wait_ms: int, pause_ms: Callable[[], float] = lambda: 0.0
    ) -> CallTurnAnalyzer:
        """An analyzer for one call.

        ``unsure_wait_ms`` of silence end a turn it is unsure of. ``pause_ms`` tells how long the
        speaker has paused while voice activity still counts them as speaking.
        """
        if self._session is None:
            self.warm_up()
        assert self._session is not None
        params = SmartTurnParams(stop_secs=unsure_wait_ms / 1000)
        return CallTurnAnalyzer(self._session, self._executor, params, pause_ms)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _yield_to_event_loop() -> None:
    """A judgement takes a core for 40 ms and may wait; the loop that paces every call's packets,
    on the same core perhaps, may not. (Only Linux gives threads a priority of their own.)"""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)


class CallTurnAnalyzer(LocalSmartTurnAnalyzerV3):
    """One call's analyzer on the shared session.

    It begins to judge as soon as the speaker pauses, so that the verdict is there when voice
    activity detection has made sure that they stopped: the 40 to 150 ms of the model are then
    not added to what the caller waits. Going on to speak throws the early verdict away.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        executor: ThreadPoolExecutor,
        params: SmartTurnParams,
        pause_ms: Callable[[], float],
    ) -> None:
        # Not LocalSmartTurnAnalyzerV3's: loading the file again is what it does.
        BaseSmartTurn.__init__(self, params=params)
        self._session = session
        self._shared_executor = executor
        self._log_data = False
        self._pause_ms = pause_ms
        self._early: asyncio.Future[Verdict] | None = None

    @property
    def _model_executor(self) -> ThreadPoolExecutor:
        return self._shared_executor

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        state = super().append_audio(buffer, is_speech)
        pause_ms = self._pause_ms() if is_speech else 0.0
        if self._early is None and pause_ms >= EARLY_PAUSE_MS:
            self._early = self._judge_early(pause_ms)
        elif is_speech and pause_ms == 0.0:
            self._forget_early()
        return state

    async def analyze_end_of_turn(self) -> Verdict:
        early, self._early = self._early, None
        if early is None:
            return await super().analyze_end_of_turn()
        state, metrics = await early
        if state == EndOfTurnState.COMPLETE:
            self._clear(state)
        return state, metrics

    def clear(self) -> None:
        self._forget_early()
        super().clear()

    async def cleanup(self) -> None:
        self._forget_early()
        await super().cleanup()

    def judge(self, samples: npt.NDArray[np.float32]) -> float:
        """How likely it is that the speaker has finished, 0 to 1 (float32 at 16 kHz)."""
        return float(self._predict_endpoint(samples)["probability"])

    def _judge_early(self, pause_ms: float) -> asyncio.Future[Verdict]:
        # The model is used to hearing the silence that ends an utterance; the rest of it is
        # still to come.
        silence = np.zeros(round(max(0.0, FULL_PAUSE_MS - pause_ms) * RATE_HZ / 1000), np.int16)
        # Pipecat's buffer of (seconds, samples) is not typed.
        heard: list[Any] = [*self._audio_buffer, (time.monotonic(), silence)]
        judge = cast(Callable[[list[Any]], Verdict], self._process_speech_segment)
        return asyncio.get_running_loop().run_in_executor(self._shared_executor, judge, heard)

    def _forget_early(self) -> None:
        if self._early is not None:
            self._early.cancel()
            self._early = None
