"""A caller's sound on its way to another program: one rate, nothing empty."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from parley.core.audio import Audio, Resampler


async def pcm_at(rate_hz: int, audio: AsyncIterator[Audio]) -> AsyncGenerator[bytes]:
    """The sound as s16le at ``rate_hz``, in pieces as they come."""
    resampler: Resampler | None = None
    async for piece in audio:
        if resampler is None or resampler.from_hz != piece.rate_hz:
            if resampler is not None and (tail := resampler.flush()):
                yield tail
            resampler = Resampler(piece.rate_hz, rate_hz)
        if pcm := resampler.push(piece.pcm):
            yield pcm
    if resampler is not None and (tail := resampler.flush()):
        yield tail
