"""Numbers that are read out are understood digit by digit."""

import pytest

from parley.core.spoken_digits import digits_in


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("my pin is one two double five", "1255"),
        ("oh five five, triple nine", "055999"),
        ("twenty three forty five", "2345"),
        ("nineteen eighty four", "1984"),
        ("one twenty three", "123"),
        ("two hundred and six", "206"),
        ("12-34 5", "12345"),
        ("it is 4, 7 and double 1", "4711"),
        ("zero zero seven", "007"),
        ("hundred", ""),
        ("can I talk to somebody", ""),
        ("", ""),
    ],
)
def test_english_is_read_as_people_say_it(said: str, digits: str):
    assert digits_in(said) == digits


@pytest.mark.parametrize(
    ("language", "said", "digits"),
    [
        ("de-DE", "Eins zwo drei fünf", "1235"),
        ("fr", "zéro un deux, neuf", "0129"),
        ("es", "siete ocho nueve", "789"),
        ("it", "uno due sei", "126"),
        ("nl", "een twee acht", "128"),
        ("pt", "meia três", "63"),
        ("ja", "one 2", "12"),
    ],
)
def test_other_languages_are_read_digit_by_digit(language: str, said: str, digits: str):
    assert digits_in(said, language) == digits


def test_figures_of_other_scripts_are_digits():
    assert digits_in("٤٧١١", "ar") == "4711"
