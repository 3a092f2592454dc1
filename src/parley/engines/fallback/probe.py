"""A small request that shows whether an engine really works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from parley.core.audio import Audio
from parley.core.errors import EngineFailed
from parley.engines.fallback.timing import closing
from parley.engines.spec import ChatOptions, Kind, SpeechOptions, TranscribeOptions

RATE_HZ = 16_000
_TONE_HZ = 220
_SHORT_REPLY = 8


async def ask_briefly(kind: Kind, engine: Any) -> None:
    """Raises if the engine is sick; ends with its first result."""
    async with closing(_asked(kind, engine)) as results:
        if await anext(results, None) is None:
            raise EngineFailed("it answers nothing")


def _asked(kind: Kind, engine: Any) -> AsyncIterator[Any]:
    if kind == "stt":
        # Some know one language only, and would refuse another.
        return engine.transcribe(_tone(), TranscribeOptions(language=""))
    if kind == "llm":
        messages = [{"role": "user", "content": "Say yes."}]
        return engine.chat(messages, [], ChatOptions(max_tokens=_SHORT_REPLY))
    return engine.synthesize("Yes.", SpeechOptions())


async def _tone() -> AsyncIterator[Audio]:
    """Half a second that is no speech, and loud enough not to be taken for silence."""
    seconds = np.arange(RATE_HZ // 2) / RATE_HZ
    samples = (8000 * np.sin(2 * np.pi * _TONE_HZ * seconds)).astype(np.int16)
    yield Audio(samples.tobytes(), RATE_HZ)
