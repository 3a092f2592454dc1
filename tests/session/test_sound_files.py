"""Recordings of any kind become sound for a call, or a sentence that says why not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from parley.core.audio import frame_of
from parley.core.errors import AudioTooLong, BadAudio
from parley.session.sound_files import read_sound


def recording(folder: Path, name: str, codec: str, rate_hz: int = 48_000) -> Path:
    """A second of a tone."""
    at = np.arange(rate_hz) / rate_hz
    pcm = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16).tobytes()
    file = folder / name
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.layout = "mono"
        fit = av.AudioResampler(format=stream.format, layout="mono", rate=rate_hz, frame_size=960)
        for frame in [*fit.resample(frame_of(pcm, rate_hz)), *fit.resample(None), None]:
            container.mux(stream.encode(frame))
    return file


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s16le"),
        ("a.flac", "flac"),
        ("a.ogg", "libopus"),
        ("a.opus", "libopus"),
        ("a.mp3", "libmp3lame"),
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
    ],
)
def test_every_usual_kind_is_read(tmp_path: Path, name: str, codec: str):
    sound = read_sound(recording(tmp_path, name, codec), rate_hz=24_000, longest_s=5)

    samples = np.frombuffer(sound.pcm, np.int16)
    assert sound.rate_hz == 24_000
    assert 950 <= sound.duration_ms <= 1150
    assert np.abs(samples).max() > 6000


def test_what_is_too_long_is_read_no_further(tmp_path: Path):
    with pytest.raises(AudioTooLong, match=r"longer than 0\.5 seconds"):
        read_sound(recording(tmp_path, "a.wav", "pcm_s16le"), rate_hz=8000, longest_s=0.5)


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 100])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.wav").write_bytes(content)

    with pytest.raises(BadAudio) as refused:
        read_sound(tmp_path / "a.wav", rate_hz=8000, longest_s=5)

    assert "Invalid data" in str(refused.value) and str(tmp_path) not in str(refused.value)


def test_what_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(BadAudio):
        read_sound(tmp_path / "a.wav", rate_hz=8000, longest_s=5)
