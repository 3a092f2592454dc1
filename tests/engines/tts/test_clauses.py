"""What eSpeak is given of a text, and in which runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.tts.clauses import (
    CUT_PAUSE_MS,
    LAST_PAUSE_MS,
    LONGEST_CLAUSE,
    SENTENCE_PAUSE_MS,
    blank_unspeakable,
    clauses_of,
)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<speak>Hi <break time='1s'/>you</speak>", "Hi you"),
        ("**bold** _it_ `code` # x ~~no~~", "bold it code x no"),
        ("a|b", "a b"),
        ("see [here](https://x.y/z)", "see [here"),
        ("thumbs 👍 up 🇩🇪 1️⃣", "thumbs up 1"),
        ("\x01\x02\x1bbell\u200b\ufeff", "bell"),
        ("bad \ud800 half", "bad half"),
        ("salt &amp; pepper&nbsp;!", "salt & pepper !"),
        ("2 * 3 < 7 and 5*5", "2 * 3 < 7 and 5*5"),
        ("snake_case", "snake case"),
        ("50 % of $5 at 20°", "50 % of $5 at 20°"),
    ],
)
def test_markup_and_pictures_are_not_spoken(text: str, spoken: str):
    blanked = blank_unspeakable(text)

    assert " ".join(blanked.split()) == spoken
    assert len(blanked) == len(text)


def test_a_title_does_not_end_the_sentence_in_english():
    assert blank_unspeakable("Dr. Smith") == "Dr  Smith"
    assert blank_unspeakable("Dr. Smith", "de") == "Dr. Smith"


@pytest.mark.parametrize("text", ["", "...", "?!", "👍", "<b></b>", "— – -", "***"])
def test_nothing_to_pronounce_makes_no_clause(text: str):
    assert clauses_of(text) == []


def test_a_long_text_is_cut_behind_its_sentences():
    text = "This is the first of the sentences. And here is the second one of them! The end."

    clauses = clauses_of(text)

    assert [c.spoken for c in clauses] == [
        "This is the first of the sentences.",
        "And here is the second one of them!",
        "The end.",
    ]
    assert [c.pause_ms for c in clauses] == [SENTENCE_PAUSE_MS, SENTENCE_PAUSE_MS, LAST_PAUSE_MS]


def test_a_time_of_day_is_not_the_end_of_a_sentence():
    clauses = clauses_of("We will see you on Monday at 3:30 p.m. Please bring your card with you.")

    assert len(clauses) == 1


def test_a_text_without_any_mark_is_cut_between_words():
    clauses = clauses_of("word " * 100)

    assert max(len(c.spoken) for c in clauses) <= LONGEST_CLAUSE
    assert all(set(c.spoken.split()) == {"word"} for c in clauses)
    assert clauses[0].pause_ms == CUT_PAUSE_MS


@given(st.text(max_size=600))
def test_clauses_can_all_be_heard_and_together_are_the_text(text: str):
    text = " ".join(text.split())

    clauses = clauses_of(text)

    ends = [clause.end for clause in clauses]
    assert ends == sorted(set(ends))
    assert not clauses or ends[-1] == len(text)
    for start, clause in zip([0, *ends], clauses, strict=False):
        assert start <= clause.spoken_at < clause.end
        assert any(character.isalnum() or not character.isspace() for character in clause.spoken)
        assert len(clause.spoken) <= clause.end - clause.spoken_at
