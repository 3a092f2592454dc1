"""The script's grammar: a recogniser takes it, and hears what the script understands."""

from __future__ import annotations

import re
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from pocketsphinx import Decoder

from parley.engines.jsgf import fold_jsgf
from parley.engines.llm.scripted.grammar import jsgf
from parley.engines.llm.scripted.reading import find_script, read_script
from tests.engines.llm.sentences import sentences, wishes

NOW = datetime(2026, 3, 2, 10, 7)
SCRIPT = read_script(find_script("receptionist"))
TEXT = jsgf(SCRIPT)
FOLDED = fold_jsgf(TEXT)


def heard(text):
    """The sentence as a recogniser writes it."""
    return re.sub(r"\b([ap]) m\b", r"\1.m.", text)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(wish=wishes(SCRIPT, NOW))
def test_every_sentence_of_the_script_can_be_heard(wish):
    _, sentence = wish

    assert FOLDED.accepts(heard(sentence.text))


def test_answers_politeness_and_two_sentences_in_a_row_can_be_heard():
    for text in (
        "tuesday", "half past nine", "on friday at ten", "anna", "my name is anna", "yes please",
        "no", "um hello", "hello i'd like to book an appointment please",
        "hello what's the time thank you", "yes thank you", "thank you goodbye",
        "no tuesday at three o'clock", "ten thirty a.m.", "the fifth of march",
    ):  # fmt: skip
        assert FOLDED.accepts(text), text


def test_it_is_small():
    arcs = sum(len(row) for row in FOLDED.arcs)

    assert len(FOLDED.arcs) < 500
    assert arcs < 6000


def test_pocketsphinx_reads_it_and_knows_nearly_every_word():
    decoder = Decoder(lm=None, loglevel="FATAL")
    unknown = {word for word in FOLDED.words if decoder.lookup_word(word) is None}

    folded = FOLDED.without(unknown)
    transitions, last = folded.transitions()
    decoder.add_fsg("script", decoder.create_fsg("script", 0, last, transitions))
    decoder.activate_search("script")

    assert decoder.current_search() == "script"
    assert unknown == {"toothache"}


def test_pocketsphinx_parses_the_text_as_it_stands():
    decoder = Decoder(lm=None, loglevel="FATAL")
    decoder.add_word("toothache", "T UW TH EY K", True)

    decoder.add_jsgf_string("script", TEXT)
    decoder.activate_search("script")

    assert decoder.current_search() == "script"


def test_a_script_without_slots_or_wishes_still_has_a_grammar(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "name: it's tiny\ngreeting: hi\nintents:\n"
        "  - {name: hello, courtesy: true, say: hello, reply: hi}\n"
    )

    folded = fold_jsgf(jsgf(read_script(file)))

    assert folded.accepts("hello")
    assert folded.accepts("hello yes")
    assert not folded.accepts("goodbye")


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(sentence=sentences(SCRIPT.slots["day"].answers[0], SCRIPT, NOW))
def test_every_answer_to_a_question_can_be_heard(sentence):
    assert FOLDED.accepts(heard(sentence.text))
