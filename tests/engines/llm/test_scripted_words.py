"""Typed and spoken text in one spelling; patterns read into trees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.llm.scripted.pattern import BadPattern, parse_pattern, slots_of
from parley.engines.llm.scripted.words import MAX_WORDS, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's the TIME?", "what is the time"),
        ("I’d like that, don't you?", "i would like that do not you"),
        ("at 10:30 a.m.", "at ten thirty a m"),
        ("at 9:00", "at nine oclock"),
        ("10am", "ten a m"),
        ("ten am", "ten a m"),
        ("I am", "i am"),
        ("9 o'clock PM", "nine oclock p m"),
        ("at 9.05", "at nine oh five"),
        ("the 3rd and 21st", "the third and twenty first"),
        ("on 2026-03-03", "on 2026-03-03"),
        ("42 or 105", "forty two or one hundred five"),
        ("call 5550123", "call five five five zero one two three"),
        ("007", "zero zero seven"),
        ("twenty-first check-up", "twenty first check up"),
        ("José's", "josés"),
        ("²٣ x_y", "² three x y"),
        ("  ...!? ", ""),
    ],
)
def test_text_becomes_plain_words(text, words):
    assert " ".join(words_of(text)) == words


@given(st.text(max_size=2000))
def test_any_text_becomes_a_bounded_number_of_words(text):
    words = words_of(text)

    assert len(words) <= MAX_WORDS
    assert all(word and word == word.strip() for word in words)


def test_words_of_words_are_the_same_words():
    words = words_of("I'd like 10:30 a.m. on the 3rd, isn't it o'clock?")

    assert words_of(" ".join(words)) == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(a | b", "( is never closed: add )"),
        ("[a", "[ is never closed: add ]"),
        ("a)", ") has no opening bracket"),
        ("(a]", "] has no opening bracket"),
        ("a | b", "put alternatives in brackets: (a | b)"),
        ("(a | )", "an alternative is empty"),
        ("()", "an alternative is empty"),
        ("", "an alternative is empty"),
        ("[a] [b]", "can be said by saying nothing"),
        ("{Day}", "{Day} is no slot"),
        ("{day", "{ is not closed or not opened"),
        ("a > b", "> is not closed or not opened"),
        ("<who> goes", "there is no phrase <who> (phrases above it: <me>)"),
        ("a !", '"!" has no letters'),
    ],
)
def test_a_broken_pattern_says_what_to_write(text, message):
    with pytest.raises(BadPattern) as problem:
        parse_pattern(text, {"me": parse_pattern("i")})

    assert message in str(problem.value)


def test_slots_are_found_wherever_they_stand():
    node = parse_pattern("(move {day} | go) [to {new_day} [at {time}]]")

    assert list(slots_of(node)) == ["day", "new_day", "time"]
