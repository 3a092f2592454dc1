"""What callers of tests speak with: the built-in voice, at the rate that recognisers hear."""

from __future__ import annotations

from parley.core.audio import Resampler
from parley.engines.spec import SpeechOptions
from parley.engines.tts.builtin import SPEC

CALLER_HZ = 16_000


class CallerVoice:
    """Speaks a text as s16le at 16 kHz."""

    async def __call__(self, text: str, voice: str = "en-us+f3") -> bytes:
        engine = SPEC.open(SPEC.options())
        await engine.warm_up()
        spoken, resampler = b"", None
        async for piece in engine.synthesize(text, SpeechOptions(voice=voice)):
            resampler = resampler or Resampler(piece.rate_hz, CALLER_HZ)
            spoken += resampler.push(piece.pcm)
        await engine.close()
        return spoken + (resampler.flush() if resampler else b"")
