"""A clause's sound in pieces: trimmed, and cut where words end."""

from __future__ import annotations

import numpy as np
import pytest

from parley.engines.tts.pieces import Border, ClauseCutter, Piece, Samples

RATE_HZ = 1000
SILENCE = 0


def sound(level: int, ms: int) -> Samples:
    return np.full(ms, level, np.int16)


def cut(
    samples: Samples, borders: list[Border], *, end: int, pause: int = 0, step: int = 50
) -> list[Piece]:
    cutter = ClauseCutter(RATE_HZ, 0)
    pieces: list[Piece] = []
    for at in range(0, len(samples), step):
        fresh = [b for b in borders if at <= b.sample < at + step]
        pieces += cutter.push(samples[at : at + step], fresh)
    return pieces + list(cutter.finish(end, pause))


def ends(pieces: list[Piece]) -> dict[int, int]:
    """Where (in ms) the text is spoken up to each position for the first time."""
    found: dict[int, int] = {}
    at = 0
    for piece in pieces:
        at += len(piece.samples)
        found.setdefault(piece.spoken_to, at)
    return found


def test_silence_before_the_first_sound_goes():
    pieces = cut(np.concatenate((sound(SILENCE, 90), sound(5000, 100))), [], end=5)

    assert abs(int(pieces[0].samples[3])) == 5000
    assert sum(len(p.samples) for p in pieces) == 103


def test_silence_behind_the_last_sound_is_cut_to_the_pause():
    pieces = cut(np.concatenate((sound(5000, 100), sound(SILENCE, 300))), [], end=5, pause=70)

    assert sum(len(p.samples) for p in pieces) == 170


def test_silence_between_sounds_stays():
    samples = np.concatenate((sound(5000, 60), sound(SILENCE, 200), sound(-5000, 60)))

    pieces = cut(samples, [], end=5, pause=70)

    assert np.array_equal(np.concatenate([p.samples for p in pieces]), samples)


@pytest.mark.parametrize("step", [7, 50, 400])
def test_pieces_end_where_words_do(step: int):
    borders = [Border(0, 0), Border(130, 4), Border(250, 8)]

    pieces = cut(sound(5000, 400), borders, end=13, step=step)

    first_of = ends(pieces)
    assert [first_of[position] for position in (4, 8, 13)] == [130, 250, 400]
    assert max(len(p.samples) for p in pieces) <= 40


def test_the_last_words_end_with_the_last_sound_and_not_with_the_pause():
    pieces = cut(np.concatenate((sound(5000, 100), sound(SILENCE, 200))), [], end=9, pause=70)

    assert ends(pieces)[9] == 100


def test_no_sound_no_piece():
    assert cut(sound(SILENCE, 300), [Border(0, 0)], end=3, pause=70) == []
