"""aiortc's own way of receiving, for when there is no libopus or no Opus in the offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from parley.core.audio import Resampler
from parley.transports.webrtc.microphone import CALLER_RATE_HZ, PIECE_BYTES


async def listen(receiver: RTCRtpReceiver, hear: Callable[[bytes], None]) -> None:
    """Give ``hear`` 20 ms pieces at 16 kHz mono until the track ends."""
    track = cast(MediaStreamTrack | None, receiver.track)
    resampler: Resampler | None = None
    rest = b""
    while track is not None:
        try:
            frame = cast(av.AudioFrame, await track.recv())
        except MediaStreamError:
            return
        if resampler is None or resampler.from_hz != frame.sample_rate:
            resampler = Resampler(frame.sample_rate, CALLER_RATE_HZ)
        rest += resampler.push(_mono(frame))
        while len(rest) >= PIECE_BYTES:
            hear(rest[:PIECE_BYTES])
            rest = rest[PIECE_BYTES:]


def _mono(frame: av.AudioFrame) -> bytes:
    channels = len(frame.layout.channels)
    # FFmpeg pads planes to its alignment.
    samples = np.frombuffer(bytes(frame.planes[0]), np.int16)[: frame.samples * channels]
    if channels == 1:
        return samples.tobytes()
    return samples.reshape(-1, channels).mean(axis=1).astype(np.int16).tobytes()
