"""A sound file of any kind as sound for a call."""

from __future__ import annotations

from pathlib import Path

import av
from av.error import FFmpegError

from parley.core.audio import Audio, samples_of
from parley.core.errors import AudioTooLong, BadAudio


def read_sound(file: Path, *, rate_hz: int, longest_s: float) -> Audio:
    """Decode it, mono at ``rate_hz``; takes its time. Raises ``BadAudio``."""
    most_bytes = round(longest_s * rate_hz) * 2
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    pcm = bytearray()
    try:
        with av.open(str(file)) as container:
            if not container.streams.audio:
                raise BadAudio("there is no sound in it")
            for frame in container.decode(audio=0):
                pcm += b"".join(map(samples_of, resampler.resample(frame)))
                if len(pcm) > most_bytes:
                    raise AudioTooLong(f"it lasts longer than {longest_s:g} seconds")
            pcm += b"".join(map(samples_of, resampler.resample(None)))
    except (FFmpegError, OSError, ValueError) as error:
        # A caller may hear this: it names no place on our disk.
        why = getattr(error, "strerror", None) or type(error).__name__
        raise BadAudio(f"it can't be read ({why})") from error
    if not pcm:
        raise BadAudio("there is no sound in it")
    return Audio(bytes(pcm), rate_hz)
