"""Where the time of one turn went, from the caller's last sound to the agent's first."""

from __future__ import annotations

from dataclasses import dataclass

AT_ONCE_S = 1.0


@dataclass
class TurnClock:
    """Collects the moments of one turn, in seconds of the pipeline's clock.

    ``speech_ended_s`` is when the caller's last sound reached us: the voice activity detector
    reports it ``stop_ms`` later, and that wait is part of endpointing.
    """

    speech_ended_s: float | None = None
    vad_stopped_s: float | None = None
    transcript_s: float | None = None
    turn_ended_s: float | None = None
    first_text_s: float | None = None
    first_sound_s: float | None = None
    filler_s: float | None = None
    sure: bool | None = None

    def was_just_ended(self, at_s: float) -> bool:
        """Whether what is said at that time can be the reply."""
        return self.turn_ended_s is not None and at_s - self.turn_ended_s < AT_ONCE_S

    def stages(self) -> dict[str, float]:
        """Milliseconds per stage, as far as they are known.

        ``silence_ms`` is the deliberate waiting within ``endpointing_ms``: the detector's own
        and the wait after an unsure verdict. ``stt_ms`` counts from the detector's stop, since
        that is when the recogniser learns of it.
        """
        found: dict[str, float] = {}
        if self.speech_ended_s is None or self.turn_ended_s is None:
            return found
        assert self.vad_stopped_s is not None
        found["endpointing_ms"] = _ms(self.speech_ended_s, self.turn_ended_s)
        found["silence_ms"] = _ms(self.speech_ended_s, self.vad_stopped_s)
        if self.sure is False:
            found["silence_ms"] = found["endpointing_ms"]
        if self.transcript_s is not None:
            found["stt_ms"] = max(0.0, _ms(self.vad_stopped_s, self.transcript_s))
        if self.first_text_s is not None:
            found["llm_ms"] = _ms(self.turn_ended_s, self.first_text_s)
        if self.filler_s is not None:
            found["filler_ms"] = _ms(self.speech_ended_s, self.filler_s)
        if self.first_sound_s is not None:
            begun_s = self.first_text_s or self.turn_ended_s
            found["tts_ms"] = _ms(begun_s, self.first_sound_s)
            found["reply_ms"] = _ms(self.speech_ended_s, self.first_sound_s)
        return found


def _ms(from_s: float, to_s: float) -> float:
    return round((to_s - from_s) * 1000, 1)
