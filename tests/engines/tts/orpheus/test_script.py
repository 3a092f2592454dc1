"""What the talker is given to say: tags, pauses, pieces, and nothing that controls it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.tts.orpheus.prompt import prompt_ids, prompt_text, without_control_tokens
from parley.engines.tts.orpheus.script import (
    LONGEST_PIECE,
    SHORTEST_PIECE,
    Pause,
    Speech,
    parts_of,
    split_text,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello there.", [Speech("Hello there.")]),
        ("Ha <laugh> fine. <Sigh/>", [Speech("Ha <laugh> fine. <sigh>")]),
        ("Ha <giggle> fine.", [Speech("Ha <chuckle> fine.")]),
        ("<b>Bold</b> <happy> <laugh volume='9'> text", [Speech("Bold text")]),
        ("One.<break time='1.5s'/>Two.", [Speech("One."), Pause(1500), Speech("Two.")]),
        ('A. <break time="20ms" /> B.', [Speech("A."), Pause(20), Speech("B.")]),
        ("A. <break/> B.", [Speech("A."), Pause(500), Speech("B.")]),
        ("A. <break time='9000s'/>", [Speech("A."), Pause(10_000)]),
        ("2 < 3 and 5 > 4", [Speech("2 3 and 5 4")]),
        ("<speak>Hi <!-- no --> you</speak>", [Speech("Hi you")]),
        ("...", []),
        ("", []),
    ],
)
def test_tags_of_the_model_stay_and_other_markup_goes(text: str, parts: list[object]):
    assert parts_of(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "<custom_token_2>",
        "<|eot_id|>",
        "<CUSTOM_TOKEN_28681>",
        "<custom_<custom_token_1>token_2>",
        "<|eot_<|x|>id|>",
        "<|audio|>",
    ],
)
def test_a_text_cannot_hold_control_tokens(text: str):
    cleaned = without_control_tokens(text)

    assert without_control_tokens(cleaned) == cleaned
    assert parts_of(f"Say {text} it") == [Speech("Say it")]


@given(text=st.text(alphabet="<custom_token_1>|eot_id ab", max_size=60))
def test_whatever_the_text_its_prompt_holds_the_control_tokens_of_every_prompt(text: str):
    prompt = prompt_text(text)

    empty = prompt_text("")
    head, tail = empty[: empty.index("<|eot_id|>")], empty[empty.index("<|eot_id|>") :]
    assert prompt.startswith(head) and prompt.endswith(tail)
    said = prompt[len(head) : len(prompt) - len(tail)]
    assert without_control_tokens(said) == said


def test_the_prompt_is_that_of_training_and_ids_of_control_tokens_are_left_out_of_the_text():
    ids = prompt_ids([83, 5169, 128_258, 128_009, 25])

    assert ids == [128_259, 128_000, 83, 5169, 25, 128_009, 128_260, 128_261, 128_257]


def test_a_text_that_fits_stays_whole():
    text = "A sentence, with a clause. " * 10

    assert split_text(text.strip()) == [text.strip()]


def test_of_a_long_text_the_first_piece_is_short_and_the_others_are_not():
    text = "Well then, let me tell you, now, what I know. " + "This is a sentence of it. " * 40

    pieces = split_text(text.strip())

    assert pieces[0] == "Well then, let me tell you,"
    assert all(100 < len(piece) <= LONGEST_PIECE for piece in pieces[2:-1])
    assert " ".join(pieces) == text.strip()


def test_a_sentence_is_not_cut_where_a_period_only_shortens_a_word():
    text = "Ask Dr. Smith at 3.5 p.m. about it. " * 20

    pieces = split_text(text.strip(), is_first=False)

    assert all(piece.endswith("about it.") for piece in pieces)


@pytest.mark.parametrize("sentence", ["今天天气很好，我们去公园吧。", "आज मौसम अच्छा है। "])
def test_other_scripts_are_cut_at_their_own_ends(sentence: str):
    pieces = split_text((sentence * 60).strip(), is_first=False)

    assert len(pieces) > 1
    assert all(piece[-1] in "。।" for piece in pieces)


@given(text=st.text(alphabet="abc .,!?;:。，\n<>", max_size=2000))
def test_whatever_the_text_no_piece_is_too_long_and_no_letter_is_lost(text: str):
    parts = parts_of(text)

    said = "".join(part.text for part in parts if isinstance(part, Speech))
    kept = [c for c in said if c.isalpha()]
    assert all(
        0 < len(part.text) <= LONGEST_PIECE + SHORTEST_PIECE
        for part in parts
        if isinstance(part, Speech)
    )
    if "<" not in text:
        assert kept == [c for c in text if c.isalpha()]
