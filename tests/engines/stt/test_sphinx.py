"""PocketSphinx with grammars: what it understands, and what it takes for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from parley.engines.jsgf import BadGrammar
from parley.engines.stt.sphinx import RATE_HZ, SphinxRecogniser, SphinxUtterance
from tests.caller_voice import CallerVoice

PIECE = RATE_HZ // 50 * 2
OFFICE = "what are your opening hours | where are you | i have [a] toothache"


def grammar(sentences: str) -> str:
    return f"#JSGF V1.0; grammar g; public <said> = {sentences};"


@pytest.fixture(scope="module")
def recogniser() -> SphinxRecogniser:
    return SphinxRecogniser({"ears": 1})


def heard(recogniser: SphinxRecogniser, pcm: bytes, sentences: str = OFFICE) -> list[str]:
    """The partial texts, and at the end the final one."""
    utterance = recogniser.open({"grammar": grammar(sentences) if sentences else ""})
    silence = bytes(RATE_HZ)
    try:
        return [*partials(utterance, silence + pcm + silence), utterance.finish()]
    finally:
        utterance.close()


def partials(utterance: SphinxUtterance, pcm: bytes) -> list[str]:
    pieces = (pcm[at : at + PIECE] for at in range(0, len(pcm), PIECE))
    return [text for piece in pieces if (text := utterance.take(piece)) is not None]


@pytest.mark.parametrize("voice", ["en-us+f3", "en-us"])
async def test_a_sentence_of_the_grammar_is_understood_while_it_is_spoken(recogniser, voice):
    spoken = await CallerVoice()("what are your opening hours", voice)

    *early, final = heard(recogniser, spoken)

    assert final == "what are your opening hours"
    assert any(text and final.startswith(text) for text in early)


async def test_speech_outside_the_grammar_is_nothing(recogniser):
    spoken = await CallerVoice()("my grandmother collects blue umbrellas from belgium")

    assert heard(recogniser, spoken)[-1] == ""


@pytest.mark.parametrize("loudness", [0, 30])
def test_silence_is_nothing(recogniser, loudness):
    noise = np.random.default_rng(1).normal(0, loudness, RATE_HZ).astype(np.int16).tobytes()

    assert heard(recogniser, noise) == [""]


def test_an_utterance_without_any_sound_is_nothing(recogniser):
    utterance = recogniser.open({"grammar": grammar(OFFICE)})

    assert utterance.finish() == ""
    utterance.close()


async def test_silence_before_does_not_spoil_the_utterance_after_it(recogniser):
    spoken = await CallerVoice()("where are you")
    heard(recogniser, bytes(4 * RATE_HZ))

    assert heard(recogniser, spoken)[-1] == "where are you"


async def test_a_word_joined_of_two_known_ones_is_heard(recogniser):
    # eSpeak never says a thing twice alike, and once in many times it can't be made out.
    spoken = [await CallerVoice()("i have a toothache") for _ in range(3)]

    assert "i have a toothache" in [heard(recogniser, each)[-1] for each in spoken]
    assert recogniser.take_notes() == []


async def test_unknown_words_are_noted_once_and_cost_only_their_own_sentences(recogniser):
    sentences = "call doctor xqzt | where are you"
    spoken = await CallerVoice()("where are you")

    assert heard(recogniser, spoken, sentences)[-1] == "where are you"
    assert recogniser.take_notes() == ["Words that the recogniser doesn't know: xqzt"]
    assert recogniser.take_notes() == []


def test_a_grammar_of_unknown_words_only_is_refused(recogniser):
    with pytest.raises(BadGrammar):
        recogniser.open({"grammar": grammar("xqzt wvbk")})

    assert recogniser.has_room()


async def test_without_a_grammar_it_takes_dictation(recogniser):
    spoken = await CallerVoice()("good morning how are you")

    assert set(heard(recogniser, spoken, "")[-1].split()) & {"good", "morning", "how", "are", "you"}


def test_an_ear_is_leased_until_its_utterance_is_closed(recogniser):
    utterance = recogniser.open({"grammar": grammar(OFFICE)})
    assert not recogniser.has_room()

    partials(utterance, bytes(3 * RATE_HZ))
    utterance.close()

    assert recogniser.has_room()
