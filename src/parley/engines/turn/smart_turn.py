"""Smart Turn v3 with one model session and one small thread pool for the whole process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import onnxruntime
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

from parley.engines.onnx import load_carried_model

MODEL = "smart-turn-v3.2-cpu.onnx"
RATE_HZ = 16_000


class SmartTurn:
    """Loads the model that Pipecat carries, once, and gives each call its own analyzer.

    Sharing saves 11 MB a call, and the 35 MB arena that each session grows once it is used.
    """

    def __init__(self, *, threads: int = 2) -> None:
        self._session: onnxruntime.InferenceSession | None = None
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="smart-turn")

    def warm_up(self) -> None:
        """Load the model and judge a second of silence."""
        self._session = load_carried_model("pipecat.audio.turn.smart_turn.data", MODEL)
        self.analyzer(unsure_wait_ms=600).judge(np.zeros(RATE_HZ, dtype=np.float32))

    def analyzer(self, *, unsure_wait_ms: int) -> CallTurnAnalyzer:
        """An analyzer for one call; ``unsure_wait_ms`` of silence end a turn it is unsure of."""
        if self._session is None:
            self.warm_up()
        assert self._session is not None
        params = SmartTurnParams(stop_secs=unsure_wait_ms / 1000)
        return CallTurnAnalyzer(self._session, self._executor, params)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class CallTurnAnalyzer(LocalSmartTurnAnalyzerV3):
    """One call's analyzer on the shared session."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        executor: ThreadPoolExecutor,
        params: SmartTurnParams,
    ) -> None:
        # Not LocalSmartTurnAnalyzerV3's: loading the file again is what it does.
        BaseSmartTurn.__init__(self, params=params)
        self._session = session
        self._shared_executor = executor
        self._log_data = False

    @property
    def _model_executor(self) -> ThreadPoolExecutor:
        return self._shared_executor

    def judge(self, samples: npt.NDArray[np.float32]) -> float:
        """How likely it is that the speaker has finished, 0 to 1 (float32 at 16 kHz)."""
        return float(self._predict_endpoint(samples)["probability"])
