"""What of a reply is spoken."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.tts.speakable import MarkupSieve, speakable


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Plain text, as it is: 3:30 p.m. & $5.", "Plain text, as it is: 3:30 p.m. & $5."),
        ("**Bold** and _soft_ and `code`.", "Bold and soft and code."),
        ("# Title\n\nText", "Title Text"),
        ("- one\n- two", "one two"),
        ("See [our page](https://example.org/a).", "See our page."),
        ("**Cut in the", "Cut in the"),
        ("middle** of it", "middle of it"),
        ("Say ```x = 1. Y``` now", "Say now"),
        ("Say ~~~x~~~ now", "Say now"),
        ("Open ```never closed", "Open"),
        ('Take {"a": {"b": "}"}, "c": [1]} this', "Take this"),
        ('[{"a": 1}, {"b": 2}] done', "done"),
        ("Hello {name}, press [1] or [ ok ].", "Hello {name}, press [1] or [ ok ]."),
        ("<b>Hi</b> <br/> there <!-- no -->", "Hi there"),
        ("I <3 you, 2 < 3 and a <", "I <3 you, 2 < 3 and a <"),
        ("2 * 3 is 6, 2*3 too.", "2 * 3 is 6, 2*3 too."),
        ("| a | b |", "a b"),
        ("Write to snake_case@example.org.", "Write to snake_case@example.org."),
        ("...", ""),
        ("👍", ""),
        ("", ""),
    ],
)
async def test_markup_goes_and_words_stay(text: str, spoken: str):
    assert await speakable(text) == spoken


@given(text=st.text(alphabet="ab .,*_`~#<>{}[]()\"'\\|/!-\n1", max_size=80))
async def test_whatever_comes_no_bare_markup_is_left(text: str):
    spoken = await speakable(text)

    assert spoken == " ".join(spoken.split())
    assert not any(mark in spoken for mark in ("`", "~~", "**", "__", "|"))


@given(
    text=st.text(alphabet='ab .,*`~<>{}[]"\\/!\n', max_size=80), cuts=st.lists(st.integers(0, 80))
)
def test_it_does_not_matter_how_a_text_is_cut_when_it_comes(text: str, cuts: list[int]):
    whole = MarkupSieve()
    expected = whole.push(text) + whole.flush()
    sieve = MarkupSieve()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]

    passed = [sieve.push(text[a:b]) for a, b in pairwise(places)]

    assert "".join(passed) + sieve.flush() == expected
