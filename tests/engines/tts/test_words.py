"""Words and where they stand in their text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parley.engines.tts.words import WordRow, letters_in


def words_of(text: str) -> list[str]:
    row = WordRow(text)
    return [row.between(i, i + 1) for i in range(len(row))]


def test_a_word_reaches_to_the_next_space_and_owns_it():
    assert words_of("Dr. Smith,\n it's 3:30  p.m.") == ["Dr. ", "Smith, ", "it's ", "3:30 ", "p.m."]


def test_ideographs_are_words_one_by_one_with_the_marks_behind_them():
    assert words_of("你好。Python 很好") == ["你", "好。", "Python ", "很", "好"]


def test_no_words_in_nothing():
    assert (len(WordRow("")), len(WordRow(" \n")), WordRow("").text) == (0, 0, "")


def test_words_are_done_once_the_next_one_has_begun():
    row = WordRow("one two three")

    assert [row.done_at(p) for p in (0, 3, 4, 7, 8, 13)] == [0, 0, 1, 1, 2, 3]


@given(st.text(max_size=200))
def test_the_words_together_are_the_text_with_single_spaces(text: str):
    row = WordRow(text)

    assert row.between(0, len(row)) == row.text == " ".join(text.split())


@given(st.text(max_size=200))
def test_after_as_many_letters_as_there_are_all_words_are_done(text: str):
    row = WordRow(text)

    assert row.letters == letters_in(text)
    assert row.done_after(row.letters) == len(row)
    assert row.done_after(0) == 0
