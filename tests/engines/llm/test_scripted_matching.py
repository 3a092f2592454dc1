"""Patterns and what callers say: found exactly, found with noise around, not found where not."""

from __future__ import annotations

from datetime import datetime

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from parley.engines.llm.scripted.hearing import Listener
from parley.engines.llm.scripted.reading import find_script, read_script
from parley.engines.llm.scripted.words import FILLERS
from tests.engines.llm.sentences import wishes

NOW = datetime(2026, 3, 2, 10, 7)
SCRIPT = read_script(find_script("receptionist"))
LISTENER = Listener(SCRIPT)

slow_to_draw = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@slow_to_draw
@given(wish=wishes(SCRIPT, NOW))
def test_every_sentence_of_a_pattern_is_understood_with_its_slots(wish):
    intent, sentence = wish

    heard = LISTENER.listen(sentence.text)

    best = heard.fits[0]
    assert best.intent is intent
    values = {
        name: SCRIPT.slots[name].type.value(words, NOW) for name, words in best.slot_words().items()
    }
    assert values == sentence.slots


@slow_to_draw
@given(
    wish=wishes(SCRIPT, NOW),
    before=st.lists(st.sampled_from(sorted(FILLERS - {"okay"})), max_size=2),
    after=st.sampled_from(["", "please", "thank you", "um"]),
)
def test_fillers_and_politeness_around_a_sentence_change_nothing(wish, before, after):
    intent, sentence = wish
    # Of two courtesies, "hello, thank you", either may be answered.
    assume(not (intent.is_courtesy and after == "thank you"))

    heard = LISTENER.listen(" ".join([*before, sentence.text, after]).upper() + "?!")

    assert heard.fits[0].intent is intent
