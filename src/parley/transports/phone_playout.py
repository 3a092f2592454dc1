"""The agent's voice that waits to be sent, at the rate of the codec that will carry it."""

from __future__ import annotations

from parley.core.audio import BYTES_PER_SAMPLE, Resampler, pcm_bytes
from parley.transports.webrtc.sender import VOICE_RATE_HZ, Playout


class PhonePlayout(Playout):
    """A ``Playout`` that takes sound at ``rate_hz`` and gives packets at ``codec_hz``.

    Between ``close`` and ``reopen`` nobody takes packets: speech is thrown away then, and whoever
    would wait for it to be heard goes on at once.
    """

    def __init__(
        self, ahead_ms: int, *, rate_hz: int = VOICE_RATE_HZ, codec_hz: int = 8000
    ) -> None:
        super().__init__(ahead_ms, rate_hz=codec_hz)
        self._given_hz = rate_hz
        self._resampler = Resampler(rate_hz, codec_hz)
        self._has_waited = False
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True
        self.clear()

    def reopen(self) -> None:
        self._is_closed = False

    def put(self, pcm: bytes) -> None:
        if not self._is_closed:
            super().put(self._resampler.push(pcm))

    async def rested(self, silence_ms: int) -> None:
        packets = self._packets + silence_ms // self._packet_ms
        while self._packets < packets and not self._is_closed:
            await self._change()

    def rest(self) -> None:
        """A packet's time passes in which nothing may be sent: the voice waits."""
        self._packets += 1
        self._wake()

    def end_utterance(self) -> None:
        if self._speaking:
            super().put(self._resampler.flush())
        super().end_utterance()

    def clear(self) -> int:
        self._resampler.flush()
        return super().clear()

    def take(self) -> bytes | None:
        """The next packet. Half of one waits for its other half, once, while speech goes on."""
        if self._speaking and 0 < len(self._pcm) < self._packet_bytes and not self._has_waited:
            self._has_waited = True
            return self.miss()
        self._has_waited = False
        return super().take()

    def change_codec(self, codec_hz: int, packet_ms: int) -> None:
        """Go on with another codec; what waits goes with it."""
        if codec_hz != self._rate_hz:
            change = Resampler(self._rate_hz, codec_hz)
            waiting = change.push(bytes(self._pcm)) + change.flush()
            self._pcm[:] = waiting
            played = self._sent_bytes // BYTES_PER_SAMPLE * codec_hz // self._rate_hz
            self._sent_bytes = played * BYTES_PER_SAMPLE
            self._ahead_bytes = pcm_bytes(self._ahead_ms, codec_hz)
            self._rate_hz = codec_hz
            self._resampler = Resampler(self._given_hz, codec_hz)
        self._packet_ms = packet_ms
        self._packet_bytes = pcm_bytes(packet_ms, codec_hz)
