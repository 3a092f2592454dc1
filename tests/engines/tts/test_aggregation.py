"""What is spoken at one go."""

from __future__ import annotations

import pytest

from parley.engines.tts.aggregation import SpeechAggregator


async def cut(text: str, *, is_hurried: bool = False, token: int = 3) -> list[str]:
    aggregator = SpeechAggregator(lambda: is_hurried)
    found: list[str] = []
    for at in range(0, len(text), token):
        found += [part.text async for part in aggregator.aggregate(text[at : at + token])]
    if rest := await aggregator.flush():
        found.append(rest.text)
    return found


async def test_a_reply_is_spoken_sentence_by_sentence():
    parts = await cut("Hello there. It is 3:30 p.m. now, Dr. Smith! Right?")

    assert parts == ["Hello there.", "It is 3:30 p.m. now, Dr. Smith!", "Right?"]


async def test_in_a_hurry_a_clause_of_four_words_is_enough():
    sentence = "Well, I can do that for you, if you like, on Monday, at ten."
    text = f"{sentence} Good?"

    assert await cut(text, is_hurried=True) == [
        "Well, I can do that for you,",
        "if you like, on Monday,",
        "at ten.",
        "Good?",
    ]
    assert await cut(text) == [
        "Well, I can do that for you, if you like, on Monday, at ten.",
        "Good?",
    ]


async def test_a_number_is_not_cut_at_its_comma():
    parts = await cut("It costs about 1,250 and so on.", is_hurried=True)

    assert parts == ["It costs about 1,250 and so on."]


async def test_clauses_of_ideographs_are_cut_too():
    parts = await cut("您好，我可以帮您预约，请问什么时间。", is_hurried=True, token=2)

    assert "".join(parts) == "您好，我可以帮您预约，请问什么时间。"
    assert len(parts) > 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Your options:\n- Red\n- Blue\n", ["Your options:", "Red", "Blue"]),
        ("First part\n\nSecond part", ["First part", "Second part"]),
        ("A line that\ngoes on here.", ["A line that goes on here."]),
    ],
)
async def test_a_line_that_ends_ends_what_it_says(text: str, parts: list[str]):
    assert await cut(text, token=1) == parts


async def test_a_sentence_is_not_cut_inside_what_is_not_spoken():
    parts = await cut('Look: ```a. B\nc. D``` {"x": "e. F"} that is it. Bye.')

    assert parts == ["Look: that is it.", "Bye."]


async def test_an_interruption_forgets_what_was_not_complete():
    aggregator = SpeechAggregator(lambda: False)
    assert [part async for part in aggregator.aggregate("Half of ```a sentence")] == []

    await aggregator.handle_interruption()

    assert [part.text async for part in aggregator.aggregate("New one. A")] == ["New one."]
