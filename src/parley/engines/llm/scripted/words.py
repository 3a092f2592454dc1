"""Text becomes words: what callers type or say, and what scripts expect, in one spelling.

Letters are small, contractions are written out (``what's`` → ``what is``), numbers and clock
times are words (``10:30`` → ``ten thirty``), punctuation is gone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from parley.core.spoken import SMALL_NUMBERS, TENS, spoken_number

MAX_WORDS = 80
"""Longer utterances are cut: nobody says more in one turn that a script could use."""

MAX_LETTERS = MAX_WORDS * 40
"""Of longer texts only the beginning is looked at."""

_FILLERS = """
ah actually er erm hm hmm just kindly mhm mm now oh okay please quite really right so then uh uhm
um well
"""
_LIGHT_WORDS = """
a about am an and any are around as at be been but by can could do does for from get give have how
i in is it let like may me my need of on or our shall some that the there this to us want was we
what when where which who will with would you your
"""

FILLERS = frozenset(_FILLERS.split())
"""Words that carry no meaning of their own; they may stand anywhere."""

LIGHT_WORDS = frozenset(_LIGHT_WORDS.split())
"""Words found in every kind of sentence; alone they say nothing of what is meant."""

_FILLER_WEIGHT, _LIGHT_WEIGHT, _WORD_WEIGHT = 0.1, 0.3, 1.0

ORDINALS = (
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
    "ninth", "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth",
    "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth",
)  # fmt: skip


def _contractions() -> dict[str, tuple[str, ...]]:
    endings = {
        "is": ("'s", "what who where when how that it there here he she"),
        "are": ("'re", "you we they"),
        "would": ("'d", "i you we they"),
        "will": ("'ll", "i you we they it that"),
        "have": ("'ve", "i you we they"),
        "not": ("n't", "do does did is are was were could would should have has must"),
    }
    found = {
        word + ending: (word, full)
        for full, (ending, words) in endings.items()
        for word in words.split()
    }
    found["i'm"] = ("i", "am")
    found["let's"] = ("let", "us")
    found["can't"] = found["cannot"] = ("can", "not")
    found["won't"] = ("will", "not")
    found["gonna"] = ("going", "to")
    found["wanna"] = ("want", "to")
    return found


CONTRACTIONS = _contractions()
_SHORT_FORMS = {
    **CONTRACTIONS,
    **{short: CONTRACTIONS[full] for short, full in (
        ("whats", "what's"), ("wheres", "where's"), ("whos", "who's"), ("thats", "that's"),
        ("im", "i'm"), ("ive", "i've"), ("dont", "don't"), ("doesnt", "doesn't"),
        ("cant", "can't"), ("isnt", "isn't"),
    )},
    "ok": ("okay",), "thx": ("thanks",), "pm": ("p", "m"),
}  # fmt: skip

_DATE = r"\d{4}-\d\d-\d\d"
_TOKEN = re.compile(
    rf"{_DATE}|\d{{1,2}}[:.]\d\d(?!\d)|\d+(?:st|nd|rd|th)?(?![^\W_])|\d+|[^\W\d_]+(?:'[^\W\d_]+)*"
)
_HALF_DAY = re.compile(r"(?<![^\W_])([ap])\.\s?m\b\.?|(?<=\d)\s?([ap])m\b")
_CLOCK = re.compile(r"(\d{1,2})[:.](\d\d)\Z")
_IS_DATE = re.compile(_DATE)

NUMBER_WORDS = frozenset([*SMALL_NUMBERS, *TENS[2:], "hundred", "oh"])


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, at most ``MAX_WORDS``. A date such as 2026-03-03 stays one word."""
    text = text[:MAX_LETTERS].lower().replace("’", "'").replace("‘", "'")
    text = _HALF_DAY.sub(lambda match: f" {match[1] or match[2]} m", text)
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        words.extend(_spelled(match[0], words))
        if len(words) >= MAX_WORDS:
            break
    return tuple(words[:MAX_WORDS])


def _spelled(token: str, before: Sequence[str]) -> Sequence[str]:
    if token in _SHORT_FORMS:
        return _SHORT_FORMS[token]
    if token == "am" and before and (before[-1] in NUMBER_WORDS or before[-1] == "oclock"):
        return ("a", "m")
    if _IS_DATE.match(token):
        return (token,)
    if not token[0].isdecimal():
        return (token.replace("'", ""),)
    return _number(token).split()


def _number(token: str) -> str:
    clock = _CLOCK.match(token)
    if clock:
        hour, minute = int(clock[1]), int(clock[2])
        if minute == 0:
            return f"{spoken_number(hour)} oclock"
        return f"{spoken_number(hour)} {'oh ' if minute < 10 else ''}{spoken_number(minute)}"
    digits = re.match(r"\d+", token)
    number = digits[0] if digits else "0"
    if token != number and len(number) < 3:
        return ordinal_words(int(number))
    # Python refuses to read integers of thousands of digits, and nobody says them as numbers.
    if len(number) > 4 or (number[0] == "0" and len(number) > 1):
        return " ".join(SMALL_NUMBERS[int(digit)] for digit in number[:MAX_WORDS])
    return spoken_number(int(number))


def ordinal_words(number: int) -> str:
    """``3`` → ``third``, ``21`` → ``twenty first``."""
    if number < len(ORDINALS):
        return ORDINALS[number]
    if number % 10 == 0:
        return TENS[number // 10][:-1] + "ieth"
    return f"{TENS[number // 10]} {ORDINALS[number % 10]}"


def weight(word: str) -> float:
    """How much a word says about what is meant."""
    if word in FILLERS:
        return _FILLER_WEIGHT
    return _LIGHT_WEIGHT if word in LIGHT_WORDS else _WORD_WEIGHT


def is_telling(word: str) -> bool:
    """Whether the word, alone, tells what its sentence is about."""
    return word not in FILLERS and word not in LIGHT_WORDS
