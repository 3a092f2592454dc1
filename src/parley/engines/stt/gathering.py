"""Gathers an utterance for recognisers that take it in one piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from parley.core.audio import Audio, pcm_bytes
from parley.core.errors import BadAudio
from parley.engines.remote.sound import pcm_at


async def gather_utterance(audio: AsyncIterator[Audio], rate_hz: int, longest_s: float) -> bytes:
    """All of the sound as s16le mono at ``rate_hz``. Raises ``BadAudio`` beyond ``longest_s``."""
    most_bytes = pcm_bytes(longest_s * 1000, rate_hz)
    gathered = bytearray()
    async with aclosing(pcm_at(rate_hz, audio)) as pieces:
        async for pcm in pieces:
            gathered += pcm
            if len(gathered) > most_bytes:
                raise BadAudio(
                    f"The sound is longer than {longest_s:g} s.",
                    hint="Send it in shorter parts, or raise the engine's longest_s.",
                )
    return bytes(gathered)
