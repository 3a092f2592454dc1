"""PCM, its lengths, and the change of its rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.audio import Audio, Resampler, loudness, pcm_bytes

RATES_HZ = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]


def tone(rate_hz: int, duration_s: float = 1.0, pitch_hz: float = 440.0) -> bytes:
    at = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (np.sin(2 * np.pi * pitch_hz * at) * 10_000).astype(np.int16).tobytes()


def resampled(resampler: Resampler, pcm: bytes, piece_bytes: int) -> bytes:
    pieces = [pcm[at : at + piece_bytes] for at in range(0, len(pcm), piece_bytes)]
    return b"".join(map(resampler.push, pieces)) + resampler.flush()


def test_a_runs_length_follows_from_its_bytes_and_rate():
    assert Audio(bytes(48_000), 24_000).duration_ms == 1000
    assert Audio(b"", 24_000).duration_ms == 0


@given(duration_ms=st.floats(0, 1e6), rate_hz=st.sampled_from(RATES_HZ))
def test_a_length_in_bytes_is_always_whole_samples(duration_ms: float, rate_hz: int):
    size = pcm_bytes(duration_ms, rate_hz)

    assert size % 2 == 0
    assert size / 2 * 1000 / rate_hz == pytest.approx(duration_ms, abs=1000 / rate_hz)


@pytest.mark.parametrize("to_hz", RATES_HZ)
@pytest.mark.parametrize("from_hz", RATES_HZ)
def test_a_stream_keeps_its_length_and_its_loudness_at_any_rate(from_hz: int, to_hz: int):
    pcm = tone(from_hz)

    changed = resampled(Resampler(from_hz, to_hz), pcm, piece_bytes=from_hz // 50 * 2)

    assert len(changed) / 2 == pytest.approx(to_hz, abs=2)
    assert loudness(changed) == pytest.approx(loudness(pcm), rel=0.01)


@pytest.mark.parametrize("piece_bytes", [2, 322, 1000, 44_100])
def test_it_does_not_matter_in_which_pieces_a_stream_comes(piece_bytes: int):
    pcm = tone(22_050)
    whole = np.frombuffer(resampled(Resampler(22_050, 24_000), pcm, len(pcm)), np.int16)

    pieces = resampled(Resampler(22_050, 24_000), pcm, piece_bytes)

    assert np.array_equal(np.frombuffer(pieces, np.int16), whole)


def test_a_tone_comes_out_without_a_click():
    changed = np.frombuffer(
        resampled(Resampler(22_050, 48_000), tone(22_050), 882), np.int16
    ).astype(int)

    steepest = 2 * np.pi * 440 / 48_000 * 10_000
    assert np.abs(np.diff(changed[200:-200])).max() < steepest * 1.2


def test_little_is_held_back():
    resampler = Resampler(22_050, 24_000)

    given_ms = Audio(resampler.push(tone(22_050, 0.1)), 24_000).duration_ms

    assert given_ms > 97


def test_an_utterance_after_the_flush_starts_afresh():
    resampler = Resampler(16_000, 24_000)
    first = resampled(resampler, tone(16_000), 640)

    second = resampled(resampler, tone(16_000), 640)

    assert second == first


def test_a_flush_without_sound_gives_none():
    resampler = Resampler(16_000, 24_000)

    assert resampler.flush() == b""
    assert resampler.push(b"") == b""
    assert resampler.flush() == b""


def test_the_same_rate_passes_unchanged():
    resampler = Resampler(24_000, 24_000)

    assert resampler.push(b"\1\2\3\4") == b"\1\2\3\4"
    assert resampler.flush() == b""


def test_loudness_is_zero_for_silence_and_one_for_full_scale():
    assert loudness(b"") == 0
    assert loudness(bytes(100)) == 0
    assert loudness(np.full(100, -32_768, np.int16).tobytes()) == pytest.approx(1)
