"""What tests of voices in other programs share."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, cast

from parley.core.audio import Audio
from parley.engines.spec import SpeechOptions


async def speak(engine: Any, text: str, options: SpeechOptions | None = None) -> list[Audio]:
    sounds = engine.synthesize(text, options or SpeechOptions())
    async with aclosing(cast("Any", sounds)) as sounds:
        return [audio async for audio in sounds]


def joined(sounds: list[Audio]) -> bytes:
    assert all(len(audio.pcm) % 2 == 0 for audio in sounds)
    return b"".join(audio.pcm for audio in sounds)


def duration_ms(sounds: list[Audio]) -> float:
    return sum(audio.duration_ms for audio in sounds)
