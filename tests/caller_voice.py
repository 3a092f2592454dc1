"""What callers of tests speak with: the built-in voice, at the rate that recognisers hear.

The sentences of the spoken tests are recordings of it (tests/record_callers.py says why).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import av

from parley.core.audio import Resampler
from parley.engines.spec import SpeechOptions
from parley.engines.tts.builtin import SPEC

CALLER_HZ = 16_000
CALLERS = Path(__file__).parent / "audio" / "callers"
VOICE = "en-us+f3"


class CallerVoice:
    """Speaks a text as s16le at 16 kHz: its recording where there is one, or else afresh."""

    async def __call__(self, text: str, voice: str = VOICE) -> bytes:
        if voice == VOICE and recording_of(text).exists():
            return recorded(text)
        return await self.speak(text, voice)

    async def speak(self, text: str, voice: str = VOICE) -> bytes:
        engine = SPEC.open(SPEC.options())
        await engine.warm_up()
        spoken, resampler = b"", None
        async for piece in engine.synthesize(text, SpeechOptions(voice=voice)):
            resampler = resampler or Resampler(piece.rate_hz, CALLER_HZ)
            spoken += resampler.push(piece.pcm)
        await engine.close()
        return spoken + (resampler.flush() if resampler else b"")


def recording_of(text: str) -> Path:
    return CALLERS / f"{text.replace(' ', '_')}.flac"


@cache
def recorded(text: str) -> bytes:
    with av.open(str(recording_of(text))) as file:
        frames: list[Any] = list(file.decode(audio=0))
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in frames)
