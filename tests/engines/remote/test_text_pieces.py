"""Long texts in short pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.engines.remote.text_pieces import text_pieces


@given(st.text(max_size=300), st.integers(2, 60))
def test_no_piece_is_too_long_or_empty_and_no_letter_is_lost(text: str, most: int) -> None:
    pieces = list(text_pieces(text, most))

    assert all(0 < len(piece) <= most for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_it_is_cut_behind_sentences_where_there_are_some() -> None:
    assert list(text_pieces("One two. Three four. Five six.", 21)) == [
        "One two. Three four.",
        "Five six.",
    ]
