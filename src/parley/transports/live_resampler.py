"""FFmpeg's resampler as Pipecat takes one: nothing that a caller hears waits in a soxr stream."""

from __future__ import annotations

from pipecat.audio.resamplers.base_audio_resampler import BaseAudioResampler

from parley.core.audio import Resampler


class LiveResampler(BaseAudioResampler):
    """Changes the rate of one stream of speech after another. Pipecat's own keeps 40 to 170 ms
    back."""

    def __init__(self) -> None:
        self._resampler: Resampler | None = None

    async def resample(self, audio: bytes, in_rate: int, out_rate: int) -> bytes:
        held = b""
        current = self._resampler
        if current is None or (current.from_hz, current.to_hz) != (in_rate, out_rate):
            held = await self.flush() if current is not None and current.to_hz == out_rate else b""
            current = self._resampler = Resampler(in_rate, out_rate)
        return held + current.push(audio)

    async def flush(self) -> bytes:
        return self._resampler.flush() if self._resampler is not None else b""

    async def reset(self) -> None:
        self._resampler = None
