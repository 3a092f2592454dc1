"""JSGF folded into a small automaton: the same sentences, nothing else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.engines.jsgf import BadGrammar, fold_jsgf, with_phrases


def fold(body):
    return fold_jsgf(f"#JSGF V1.0;\ngrammar x;\n{body}\n")


def sentences(grammar, longest=6):
    """Every sentence of at most so many words."""
    words = sorted(grammar.words)
    return {
        " ".join(said)
        for length in range(longest + 1)
        for said in itertools.product(words, repeat=length)
        if grammar.accepts(" ".join(said))
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("public <s> = a b;", {"a b"}),
        ("public <s> = a | b c;", {"a", "b c"}),
        ("public <s> = [a] b [c];", {"b", "a b", "b c", "a b c"}),
        ("public <s> = (a | b) (c | d);", {"a c", "a d", "b c", "b d"}),
        ("<x> = a | [b] c; public <s> = <x> d | <x>;", {"a", "c", "b c", "a d", "c d", "b c d"}),
        ("public <s> = [a | b]; // what's that\n/* public <t> = z; */", {"", "a", "b"}),
        ("public <s> = what's a.m. | o'clock;", {"what's a.m.", "o'clock"}),
    ],
)
def test_a_grammar_accepts_its_sentences_and_no_others(body, expected):
    assert sentences(fold(body)) == expected


def test_common_endings_are_shared():
    days = " | ".join(f"day{number}" for number in range(50))
    wishes = " | ".join(f"wish{number} [on <day>]" for number in range(50))

    folded = fold(f"<day> = {days}; public <s> = {wishes};")

    assert len(folded.arcs) == 4
    assert sum(len(row) for row in folded.arcs) == 50 + 1 + 50


def test_words_that_nobody_can_hear_take_their_sentences_with_them():
    folded = fold("public <s> = a (b | x) c | x | d [x] e;")

    without = folded.without({"x"})

    assert sentences(without) == {"a b c", "d e"}
    assert sentences(folded.without({"c", "x", "e"})) == set()


def test_the_transitions_of_a_state_share_one():
    transitions, last = fold("public <s> = a [b | c];").transitions()

    third = pytest.approx(1 / 3)
    assert last == 3
    assert transitions[0] == (0, 1, 1.0, "a")
    assert (1, 2, third, "b") in transitions
    assert (1, 2, third, "c") in transitions
    assert transitions[-2:] == [(1, last, third), (2, last, 1.0)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<s> = a;", "one public rule; this has 0"),
        ("public <s> = a; public <t> = b;", "this has 2"),
        ("public <s> = <x>;", "no rule <x>"),
        ("public <s> = a <s>;", "contains itself"),
        ("public <s> = (a;", "not closed"),
        ("public <s> = a);", "too many"),
        ("public <s> = a*;", "can't be folded"),
        ("public <s> = /0.5/ a;", "can't be folded"),
        ("public s = a;", "This is no rule"),
    ],
)
def test_what_cannot_be_folded_is_refused(body, message):
    with pytest.raises(BadGrammar, match=message):
        fold(body)


@st.composite
def bodies(draw, depth=3):
    """A random body and all its sentences."""
    kind = draw(st.sampled_from(["word", "word", "run", "either", "maybe"] if depth else ["word"]))
    if kind == "word":
        word = draw(st.sampled_from("abc"))
        return word, {word}
    if kind == "maybe":
        text, said = draw(bodies(depth - 1))
        return f"[{text}]", {"", *said}
    (one, first), (two, second) = draw(bodies(depth - 1)), draw(bodies(depth - 1))
    if kind == "either":
        return f"({one} | {two})", first | second
    return f"{one} {two}", {f"{a} {b}".strip() for a in first for b in second}


@settings(max_examples=100, deadline=None)
@given(bodies())
def test_folding_changes_nothing_of_what_can_be_said(drawn):
    body, said = drawn

    folded = fold(f"public <s> = {body};")

    assert all(folded.accepts(sentence) for sentence in said)
    assert sentences(folded, longest=3) == {each for each in said if len(each.split()) <= 3}


def test_wake_phrases_may_be_said_alone_or_before_any_sentence():
    grammar = "#JSGF V1.0;\ngrammar x;\n<day> = today;\npublic <said> = come <day>;\n"

    woken = fold_jsgf(with_phrases(grammar, ["Hey, Parley!", "it's me"]))

    assert sentences(woken) == {
        "come today",
        "hey parley",
        "hey parley come today",
        "it's me",
        "it's me come today",
    }


@pytest.mark.parametrize("phrases", [[], ["", "?!"]])
def test_without_a_phrase_a_grammar_stays_as_it_is(phrases):
    grammar = "#JSGF V1.0;\ngrammar x;\npublic <said> = come;\n"

    assert with_phrases(grammar, phrases) == grammar
    assert with_phrases("", ["hey parley"]) == ""
