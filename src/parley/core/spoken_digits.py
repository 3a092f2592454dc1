"""The digits in what somebody said: a number that is read out, not one that is counted with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from parley.core.spoken import SMALL_NUMBERS, TENS

_WORD = re.compile(r"\d+|[^\W\d_]+")
_REPEATS = {"double": 2, "triple": 3}
_ENGLISH: Mapping[str, int] = {
    **{word: value for value, word in enumerate(SMALL_NUMBERS)},
    **{word: 10 * value for value, word in enumerate(TENS) if word},
    "oh": 0,
    "o": 0,
    "nought": 0,
}


def _digits(words: str) -> Mapping[str, int]:
    """Ten words, from zero on; several for one digit are joined by a stroke."""
    return {
        each: value for value, several in enumerate(words.split()) for each in several.split("|")
    }


_WORDS: Mapping[str, Mapping[str, int]] = {
    "en": _ENGLISH,
    "de": _digits("null eins|ein|eine zwei|zwo drei vier funf|fuenf sechs sieben acht neun"),
    "es": _digits("cero uno|un|una dos tres cuatro cinco seis siete ocho nueve"),
    "fr": _digits("zero un|une deux trois quatre cinq six sept huit neuf"),
    "it": _digits("zero uno|un|una due tre quattro cinque sei sette otto nove"),
    "nl": _digits("nul een twee drie vier vijf zes zeven acht negen"),
    "pt": _digits("zero um|uma dois|duas tres quatro cinco seis|meia sete oito nove"),
}


def digits_in(text: str, language: str = "en") -> str:
    """``my pin is one two double five`` → ``1255``; ``twenty three, 45`` → ``2345``.

    Figures are read in every language. Of other languages than English single digits are known.
    """
    known = _WORDS.get(language.partition("-")[0].lower(), _ENGLISH)
    reading = _Reading()
    for word in _WORD.findall(_plain(text)):
        if word.isdigit():
            reading.figures(word)
        elif known is _ENGLISH and word in _REPEATS:
            reading.repeat(_REPEATS[word])
        elif known is _ENGLISH and word == "hundred":
            reading.hundred()
        elif word in known:
            reading.word(known[word])
    return reading.result()


class _Reading:
    """Takes number words one by one. ``room`` is what the present number has still room for."""

    def __init__(self) -> None:
        self._done = ""
        self._value: int | None = None
        self._room = 1
        self._times = 1

    def word(self, value: int) -> None:
        if self._value is not None and 0 < value < self._room:
            self._value += value
        else:
            self._finish()
            self._value = value
        self._room = 10 if value >= 20 and value % 10 == 0 else 1

    def hundred(self) -> None:
        if self._value is not None and 0 < self._value < 10:
            self._value *= 100
            self._room = 100

    def figures(self, digits: str) -> None:
        self._finish()
        # Figures of other scripts are digits too.
        self._done += "".join(str(unicodedata.digit(each)) for each in digits) * self._times
        self._times = 1

    def repeat(self, times: int) -> None:
        self._finish()
        self._times = times

    def result(self) -> str:
        self._finish()
        return self._done

    def _finish(self) -> None:
        if self._value is not None:
            self._done += str(self._value) * self._times
            self._value, self._times = None, 1
        self._room = 1


def _plain(text: str) -> str:
    """Small letters without accents: recognisers leave them out, or don't."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in parted if not unicodedata.combining(each))
