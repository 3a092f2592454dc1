"""A socket's sound on its way into the pipeline: chunks of any size, in bursts, with pauses."""

from __future__ import annotations

import asyncio

from parley.core.audio import BYTES_PER_SAMPLE, Resampler, pcm_bytes
from parley.transports.stream import PIECE_MS, Pieces
from parley.transports.webrtc.microphone import CALLER_RATE_HZ, Microphone

LONGEST_BACKLOG_MS = 30_000
# Turn detection waits by the clock: sound that comes late, all at once, is heard this much faster.
HURRY = 4
PROMPT_MS = 400
# After so long without sound silence is heard: longer than bursts are apart, shorter than the
# pause that ends a sentence.
QUIET_AFTER_S = 0.24
# A process that was stuck for longer doesn't make up for all of it.
_MAX_FILLED_MS = 1000


class PatientMicrophone(Microphone):
    """Loses nothing of a burst: what is behind goes through faster than it was said."""

    def __init__(self) -> None:
        super().__init__(LONGEST_BACKLOG_MS, LONGEST_BACKLOG_MS)

    async def get(self) -> bytes:
        if self.held_ms > PROMPT_MS:
            await asyncio.sleep(PIECE_MS / 1000 / HURRY)
        return await super().get()


class PcmEars:
    """Cuts s16le mono into pieces for the microphone, at the microphone's rate.

    Where the far side sends nothing, silence is heard: whoever waits for the end of a sentence must
    not wait for a packet. ``is_stream`` says that a sample may be cut in two between chunks;
    otherwise half a sample at a chunk's end is noise.
    """

    def __init__(self, microphone: Microphone, *, is_stream: bool) -> None:
        self._pieces = Pieces(CALLER_RATE_HZ, microphone.put)
        self._is_stream = is_stream
        self._half = b""
        self._resampler = Resampler(CALLER_RATE_HZ, CALLER_RATE_HZ)
        self._heard_s: float | None = None
        self._filled_s = 0.0

    def hear(self, pcm: bytes, rate_hz: int, now_s: float) -> None:
        """A chunk of any length; an empty one is no sound."""
        if self._is_stream:
            pcm, self._half = self._half + pcm, b""
        whole = len(pcm) - len(pcm) % BYTES_PER_SAMPLE
        if self._is_stream:
            self._half = pcm[whole:]
        if not whole:
            return
        self._heard_s = self._filled_s = now_s
        if rate_hz != self._resampler.from_hz:
            self._pieces.put(self._resampler.flush())
            self._resampler = Resampler(rate_hz, CALLER_RATE_HZ)
        self._pieces.put(self._resampler.push(pcm[:whole]))

    def tick(self, now_s: float) -> None:
        """Time goes by."""
        if self._heard_s is None or now_s - self._heard_s < QUIET_AFTER_S:
            return
        pieces = int((now_s - self._filled_s) * 1000) // PIECE_MS
        if pieces > 0:
            self._filled_s += pieces * PIECE_MS / 1000
            filled_ms = min(pieces * PIECE_MS, _MAX_FILLED_MS)
            self._pieces.put(bytes(pcm_bytes(filled_ms, CALLER_RATE_HZ)))
