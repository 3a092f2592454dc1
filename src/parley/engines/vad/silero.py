"""Silero voice activity detection with one model session for the whole process."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from parley.engines.onnx import load_carried_model

RATE_HZ = 16_000
WINDOW = 512

# Loudness, which the volume limit is about, weighs high tones up to 4 dB more than plain level.
_WEIGHTING_DB = 3.4
# Pipecat's volume runs from 0 at -110 LUFS to 1 at -10, over the last 400 ms.
_QUIETEST_LUFS = -110.0
_VOLUME_WINDOWS = 13


class SileroVad:
    """Loads the model that Pipecat carries, once, and gives each call its own analyzer.

    The recurrent state lives in the analyzer, so the session can be shared: this saves 9.5 MB
    and 30 ms a call.
    """

    def __init__(self) -> None:
        self._session: onnxruntime.InferenceSession | None = None

    def warm_up(self) -> None:
        """Load the model and run it once; afterwards ``analyzer`` costs next to nothing."""
        self._session = load_carried_model("pipecat.audio.vad.data", "silero_vad.onnx")
        _SharedModel(self._session)(np.zeros(WINDOW, dtype=np.float32), RATE_HZ)

    def analyzer(
        self, *, confidence: float, start_ms: int, stop_ms: int, min_volume: float
    ) -> CallVadAnalyzer:
        """An analyzer for one call."""
        if self._session is None:
            self.warm_up()
        assert self._session is not None
        params = VADParams(
            confidence=confidence,
            start_secs=start_ms / 1000,
            stop_secs=stop_ms / 1000,
            min_volume=min_volume,
        )
        return CallVadAnalyzer(self._session, params)

    def ear(self) -> VoiceEar:
        """The bare model for one recording; it blocks for 0.2 ms a window."""
        if self._session is None:
            self.warm_up()
        assert self._session is not None
        return VoiceEar(self._session)


class VoiceEar:
    """Tells for one recording, window by window, how likely somebody speaks in it."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._model = _SharedModel(session)
        self._windows_of_silence = 0

    def confidence(self, samples: NDArray[np.float32]) -> float:
        """0 to 1 for the next ``WINDOW`` samples (-1 to 1) at 16 kHz."""
        if not np.any(samples):
            self._windows_of_silence += 1
            # Hours of digital silence are a small file, and the model's state is settled.
            if self._windows_of_silence > _VOLUME_WINDOWS:
                return 0.0
        else:
            self._windows_of_silence = 0
        return float(self._model(samples, RATE_HZ)[0].item())


class _SharedModel(SileroOnnxModel):
    """Pipecat's wrapper around a session that somebody else loaded."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        # Not super().__init__(): loading the file again is what it does.
        self.session = session
        self.sample_rates = [8000, 16000]
        self.reset_states()


class CallVadAnalyzer(SileroVADAnalyzer):
    """One call's analyzer. It runs on the event loop: a window takes 0.2 ms, a hop to a thread
    and back costs more than that in switches."""

    def __init__(self, session: onnxruntime.InferenceSession, params: VADParams) -> None:
        VADAnalyzer.__init__(self, params=params)
        self._model = _SharedModel(session)
        self._windows_since_reset = 0
        self._low_confidence_windows = 0
        self._hushed_windows = 0
        self._was_ended = False

    def fall_quiet(self) -> None:
        """What was heard is over: a voice that goes on begins anew."""
        self._was_ended = self._vad_state is not VADState.QUIET
        self._vad_state = VADState.QUIET
        self._vad_starting_count = self._vad_stopping_count = 0

    @property
    def pause_ms(self) -> float:
        """How long the speaker has been silent; 0 while they speak."""
        if self._vad_state is VADState.SPEAKING:
            return 0.0
        if self._vad_state is not VADState.STOPPING:
            return self._params.stop_secs * 1000
        return self._vad_stopping_count * self._vad_frames * 1000 / self.sample_rate

    def set_sample_rate(self, sample_rate: int) -> None:
        super().set_sample_rate(sample_rate)
        # Volume is 0 until its window is full: who speaks at once would go unheard so long.
        self._volume_tracker.update(bytes(2 * self.sample_rate), self.sample_rate)

    async def analyze_audio(self, buffer: bytes) -> VADState:
        if self._was_ended:
            # Whoever follows the voice sees its end, though it may begin again in this piece.
            self._was_ended = False
            self._vad_buffer += buffer
            return VADState.QUIET
        if len(self._vad_buffer) + len(buffer) < self._vad_frames_num_bytes:
            self._vad_buffer += buffer
            return self._vad_state
        return self._run_analyzer(buffer)

    def voice_confidence(self, buffer: bytes) -> float:
        """Silero's, but for a window that is too quiet to count as speech whatever Silero says.

        Such a window ends speech at once: Silero lingers for some 40 ms. When the whole time
        over which volume is measured was like that, the model isn't asked: its state is settled
        then, and it would be the greatest single cost of a call in which nobody speaks.
        """
        if not self._is_hushed(buffer):
            self._hushed_windows = 0
            return super().voice_confidence(buffer)
        self._hushed_windows += 1
        if self._hushed_windows > _VOLUME_WINDOWS:
            return 0.0
        confidence = super().voice_confidence(buffer)
        # A closed mouth within a word that just begins is not the end of it.
        is_speech = self._vad_state in (VADState.SPEAKING, VADState.STOPPING)
        return 0.0 if is_speech else confidence

    def _is_hushed(self, buffer: bytes) -> bool:
        samples = np.frombuffer(buffer, dtype=np.int16).astype(np.float32)
        limit_db = _QUIETEST_LUFS + 100 * self._params.min_volume - _WEIGHTING_DB
        limit = 32768 * 10 ** (limit_db / 20)
        return float(np.dot(samples, samples)) < limit * limit * len(samples)
