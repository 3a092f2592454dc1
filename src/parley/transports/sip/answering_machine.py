"""Tells people who answer from machines, by rule: how long the first words are, how long the pause
behind them, and whether there is a tone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

from parley.core.audio import BYTES_PER_SAMPLE
from parley.session.dialling import AnsweredBy, Answerer, Rule


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """When what is told. A person says a few words and waits; a machine talks on, or beeps.

    ``limit_ms`` ends the listening, ``message_limit_ms`` the wait for a machine's tone; where none
    comes, ``quiet_ms`` of silence behind its words will do.
    """

    long_greeting_ms: float = 2200.0
    pause_ms: float = 800.0
    silence_ms: float = 4000.0
    limit_ms: float = 8000.0
    quiet_ms: float = 2000.0
    message_limit_ms: float = 45_000.0


_RMS_LEAST = 0.008
_OVER_FLOOR = 3.0
_FLOOR_LEAST, _FLOOR_MOST, _FLOOR_RISE = 1e-5, 0.01, 1.005
# A click is no voice.
_VOICE_LEAST_MS = 60.0
_TONE_LEAST_MS = 160.0
_TONE_GAP_MS = 60.0
_TONE_HZ = (350.0, 2500.0)
_TONE_SHARE = 0.85
_TONE_DRIFT_HZ = 40.0
_WINDOW_MS = 40
# The sound may be late, or never come at all.
_SLACK_S = 1.0


class AnsweringMachine:
    """Listens to whoever answered; ``take`` gets every piece of the sound in order."""

    def __init__(self, rate_hz: int, rules: AnswerRules | None = None) -> None:
        self._rules = rules or AnswerRules()
        self._rate_hz = rate_hz
        self._tone = _Tone(rate_hz)
        self._heard_ms = 0.0
        self._floor = 0.0
        self._run_ms = 0.0
        self._voice_from_ms: float | None = None
        self._voice_to_ms = 0.0
        loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Answerer] = loop.create_future()
        self._listens: asyncio.Future[None] = loop.create_future()

    @property
    def is_decided(self) -> bool:
        return self._verdict.done()

    @property
    def may_speak(self) -> bool:
        """Whether a message may be left now."""
        return self._listens.done()

    async def verdict(self) -> Answerer:
        """Who answered."""
        limit_s = self._rules.limit_ms / 1000 + _SLACK_S
        await asyncio.wait([self._verdict], timeout=limit_s)
        self._decide("unsure", "limit")
        return self._verdict.result()

    async def listens(self) -> None:
        """Return when a message may be left."""
        limit_s = self._rules.message_limit_ms / 1000
        await asyncio.wait([self._listens], timeout=limit_s)

    def take(self, pcm: bytes) -> None:
        """The next piece, s16le mono."""
        if self._listens.done() or not pcm:
            return
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768.0
        piece_ms = len(pcm) / BYTES_PER_SAMPLE * 1000 / self._rate_hz
        self._heard_ms += piece_ms
        self._tone.take(samples, piece_ms)
        self._weigh(float(np.sqrt(np.mean(samples * samples))), piece_ms)
        self._apply_rules()

    def _weigh(self, rms: float, piece_ms: float) -> None:
        """Keep account of voice and silence."""
        # The quietest of late, rising slowly: whoever talks on must not become the background.
        self._floor = min(rms, _FLOOR_MOST, self._floor * _FLOOR_RISE + _FLOOR_LEAST)
        if rms > max(_RMS_LEAST, self._floor * _OVER_FLOOR):
            self._run_ms += piece_ms
            if self._run_ms >= _VOICE_LEAST_MS:
                if self._voice_from_ms is None:
                    self._voice_from_ms = self._heard_ms - self._run_ms
                self._voice_to_ms = self._heard_ms
            return
        self._run_ms = 0.0

    def _apply_rules(self) -> None:
        rules = self._rules
        quiet_ms = self._heard_ms - self._voice_to_ms
        if self._tone.is_over:
            self._decide("machine", "beep")
            self._let_speak()
        elif self._tone.is_on:
            self._decide("machine", "beep")
        elif self._voice_from_ms is None:
            if self._heard_ms >= rules.silence_ms:
                self._decide("unsure", "silence")
        elif self._voice_to_ms - self._voice_from_ms >= rules.long_greeting_ms:
            self._decide("machine", "long_greeting")
        elif quiet_ms >= rules.pause_ms:
            self._decide("human", "short_greeting")
        if self._heard_ms >= rules.limit_ms:
            self._decide("unsure", "limit")
        if self.is_decided and self._voice_from_ms is not None and quiet_ms >= rules.quiet_ms:
            self._let_speak()

    def _decide(self, by: AnsweredBy, rule: Rule) -> None:
        if not self._verdict.done():
            self._verdict.set_result(Answerer(by, rule, round(self._heard_ms, 1)))

    def _let_speak(self) -> None:
        if not self._listens.done():
            self._listens.set_result(None)


class _Tone:
    """Notices a pure tone that stands still, and when it is over. A vowel has many tones."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._size = rate_hz * _WINDOW_MS // 1000
        self._shape = np.hanning(self._size).astype(np.float32)
        self._window = np.zeros(self._size, np.float32)
        self._pitch_hz = 0.0
        self._lasted_ms = 0.0
        self._gap_ms = 0.0
        self._is_real = False

    @property
    def is_on(self) -> bool:
        """Whether there is one, or has just been one."""
        return self._is_real

    @property
    def is_over(self) -> bool:
        return self._is_real and self._gap_ms >= _TONE_GAP_MS

    def take(self, samples: np.ndarray, piece_ms: float) -> None:
        self._window = np.concatenate((self._window, samples))[-self._size :]
        pitch_hz = self._pitch()
        if not pitch_hz:
            self._gap_ms += piece_ms
            if not self._is_real:
                self._lasted_ms = 0.0
            return
        self._gap_ms = 0.0
        if abs(pitch_hz - self._pitch_hz) > _TONE_DRIFT_HZ:
            self._lasted_ms = 0.0
        self._pitch_hz = pitch_hz
        self._lasted_ms += piece_ms
        self._is_real = self._is_real or self._lasted_ms >= _TONE_LEAST_MS

    def _pitch(self) -> float:
        """The tone that nearly all of the sound is; 0 where there is none."""
        power = np.abs(np.fft.rfft(self._window * self._shape)) ** 2
        whole = float(power.sum())
        # Against the power of a quiet voice: what nobody hears is no tone.
        if whole < (_RMS_LEAST * self._size / 2) ** 2:
            return 0.0
        peak = int(power.argmax())
        share = float(power[max(0, peak - 2) : peak + 3].sum()) / whole
        pitch_hz = peak * self._rate_hz / self._size
        is_tone = share >= _TONE_SHARE and _TONE_HZ[0] <= pitch_hz <= _TONE_HZ[1]
        return pitch_hz if is_tone else 0.0
