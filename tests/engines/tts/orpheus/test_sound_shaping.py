"""Edges of takes, and speed without a change of pitch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.tts.orpheus.joins import EdgeTrim
from parley.engines.tts.orpheus.speed import TimeStretch
from tests.engines.tts.orpheus.sounds import Sound

RATE_HZ = 24_000


def tone(duration_ms: int, hz: float = 220.0) -> Sound:
    at = np.arange(RATE_HZ * duration_ms // 1000) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def hush(duration_ms: int) -> Sound:
    return np.zeros(RATE_HZ * duration_ms // 1000, np.float32)


def trimmed(sound: Sound, piece: int = 2048) -> Sound:
    trim = EdgeTrim()
    parts = [trim.push(sound[at : at + piece]) for at in range(0, len(sound), piece)]
    return np.concatenate([*parts, trim.finish()])


def ms(sound: Sound) -> float:
    return len(sound) * 1000 / RATE_HZ


def test_silence_at_both_ends_goes_and_the_edges_are_rounded():
    sound = trimmed(np.concatenate((hush(400), tone(500), hush(300))))

    assert ms(sound) == pytest.approx(510, abs=6)
    assert abs(sound[0]) < 0.01 and abs(sound[-1]) < 0.01


def test_sound_without_silence_keeps_its_length():
    assert len(trimmed(tone(1000))) == len(tone(1000))


@pytest.mark.parametrize("pause_ms", [100, 600, 1000])
def test_a_pause_inside_stays(pause_ms: int):
    sound = trimmed(np.concatenate((tone(200), hush(pause_ms), tone(200))))

    assert ms(sound) == pytest.approx(400 + pause_ms, abs=12)


def test_a_very_long_pause_is_cut_down():
    sound = trimmed(np.concatenate((tone(200), hush(1900), tone(200))))

    assert 1400 < ms(sound) < 1800


def test_silence_is_measured_while_it_lasts():
    trim = EdgeTrim()

    trim.push(tone(200))
    for _ in range(30):
        trim.push(hush(100))

    assert trim.silent_ms == pytest.approx(3000, abs=10)
    trim.push(tone(100))
    assert trim.silent_ms < 10


def test_silence_before_the_first_sound_counts_as_well():
    trim = EdgeTrim()

    for _ in range(30):
        assert not len(trim.push(hush(100)))

    assert trim.silent_ms == pytest.approx(3000, abs=10)
    assert not len(trim.finish())


@given(cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_it_does_not_matter_in_which_pieces_the_sound_comes(cuts: list[int]):
    sound = np.concatenate((hush(90), tone(300), hush(200), tone(150, 500), hush(120)))
    trim, parts, at = EdgeTrim(), [], 0

    for size in [*cuts, len(sound)]:
        parts.append(trim.push(sound[at : at + size]))
        at += size

    whole = trimmed(sound, len(sound))
    pieces = np.concatenate([*parts, trim.finish()])
    # Where sound is found to begin depends on where blocks of 5 ms begin.
    assert abs(len(pieces) - len(whole)) <= 240


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_speech_gets_faster_or_slower_and_keeps_its_pitch(speed: float):
    stretch = TimeStretch(speed)
    sound = tone(2000)

    parts = [stretch.push(sound[at : at + 2048]) for at in range(0, len(sound), 2048)]
    heard = np.concatenate([*parts, stretch.flush()])

    assert ms(heard) == pytest.approx(2000 / speed, abs=25)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * RATE_HZ / len(heard) == pytest.approx(220, abs=2)
    assert sum(len(part) > 0 for part in parts) > 20


def test_the_usual_speed_changes_nothing():
    stretch = TimeStretch(1.0)

    assert np.array_equal(stretch.push(tone(100)), tone(100))
    assert not len(stretch.flush())


@pytest.mark.parametrize(("asked", "given_speed"), [(0.1, 0.5), (4.0, 2.0)])
def test_speeds_out_of_reach_become_the_nearest(asked: float, given_speed: float):
    assert TimeStretch(asked).speed == given_speed
