"""One text for Piper, as its HTTP server and its WebSocket service want it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ENGINE = "Piper"


@dataclass(frozen=True, slots=True)
class PiperRequest:
    """What is None or "" is left to the server. ``length_scale`` 0.5 is twice as fast."""

    text: str
    voice: str = ""
    speaker: str = ""
    length_scale: float | None = None
    noise_scale: float | None = None
    noise_w_scale: float | None = None

    def as_http(self) -> dict[str, Any]:
        return {"text": self.text, **self._wishes()}

    def as_message(self, rate_hz: int) -> dict[str, Any]:
        """The keys of both dialects; each ignores those of the other."""
        return {
            "text": self.text,
            **self._wishes(),
            "sample_rate": rate_hz,
            "format": "pcm16",
        }

    def _wishes(self) -> dict[str, Any]:
        wishes: dict[str, Any] = {
            "voice": self.voice or None,
            "length_scale": self.length_scale,
            "noise_scale": self.noise_scale,
            "noise_w_scale": self.noise_w_scale,
        }
        if self.speaker:
            # A number is the speaker's own, anything else its name.
            by_number = self.speaker.isdigit()
            wishes["speaker_id" if by_number else "speaker"] = (
                int(self.speaker) if by_number else self.speaker
            )
        return {key: value for key, value in wishes.items() if value is not None}
