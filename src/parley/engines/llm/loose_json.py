"""Reads JSON as small models write it: single quotes, bare keys, trailing commas, missing ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

DEEPEST = 24
LONGEST = 20_000

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_WORDS: dict[str, Any] = {
    "true": True, "false": False, "null": None, "none": None, "undefined": None,
}  # fmt: skip
_AFTER_A_STRING = frozenset(",:}])")
_BEFORE_A_STRING = frozenset("{[,:(=")
_OPENERS = frozenset("{[(")
_CLOSERS = frozenset("}])")


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A JSON object or list, and where in the text it stands."""

    value: Any
    start: int
    end: int


def values_in(text: str) -> Iterator[FoundValue]:
    """Every JSON object and list in ``text``, outermost only; what stands between is skipped."""
    text = text[:LONGEST]
    at = 0
    while (start := _first_of(text, "{[", at)) >= 0:
        reader = _Reader(text, start)
        try:
            value = reader.value(0)
        except ValueError:
            at = start + 1
            continue
        yield FoundValue(value, start, reader.at)
        at = max(reader.at, start + 1)


def object_in(text: str) -> dict[str, Any] | None:
    """The first JSON object in ``text``, mended where it can be; None when there is none."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        value = next((found.value for found in values_in(text)), None)
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


class BracketScanner:
    """Told one character after the other, knows when the first bracket has been closed."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""
        self._is_escaped = False
        self._may_have_closed = False
        self._before = ""

    def closes_with(self, character: str) -> bool:
        """Whether ``character`` ends what the first character opened."""
        if self._quote and not self._leaves_string(character):
            return False
        if character == '"' or (character == "'" and self._before in _BEFORE_A_STRING):
            self._quote = character
        elif character in _OPENERS:
            self._depth += 1
        elif character in _CLOSERS:
            self._depth -= 1
            if self._depth <= 0:
                return True
        if not character.isspace():
            self._before = character
        return False

    def _leaves_string(self, character: str) -> bool:
        """Whether the string had ended before ``character``. An apostrophe doesn't end one."""
        if self._may_have_closed:
            if character.isspace():
                return False
            self._may_have_closed = character == self._quote
            if character not in _AFTER_A_STRING:
                return False
            self._quote = ""
            return True
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == self._quote == '"':
            self._quote, self._before = "", character
        elif character == self._quote:
            self._may_have_closed = True
        return False


class _Reader:
    """Reads one value; the end of the text closes whatever is open."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        character = self._peek()
        if character == "{":
            return self._object(depth)
        if character == "[":
            return self._list(depth)
        if character in _QUOTES:
            return self._string()
        return self._word()

    def _object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        fields: dict[str, Any] = {}
        while (character := self._peek()) not in ("}", ""):
            before = self.at
            if character in ",;":
                self.at += 1
                continue
            key = self._string() if character in _QUOTES else str(self._bare(",:}=")).strip()
            if self._peek() in (":", "=") and self._peek():
                self.at += 1
                fields[key] = self.value(depth + 1)
            elif self.at == before:
                self.at += 1
        self.at += 1
        return fields

    def _list(self, depth: int) -> list[Any]:
        self.at += 1
        items: list[Any] = []
        while (character := self._peek()) not in ("]", ""):
            before = self.at
            if character in ",;":
                self.at += 1
                continue
            items.append(self.value(depth + 1))
            if self.at == before:
                self.at += 1
        self.at += 1
        return items

    def _string(self) -> str:
        opening = self._text[self.at]
        closing = _QUOTES[opening]
        start = self.at = self.at + 1
        while self.at < len(self._text):
            character = self._text[self.at]
            if character == "\\":
                self.at += 2
                continue
            if character == closing and (opening == '"' or self._string_ends()):
                break
            self.at += 1
        raw = self._text[start : self.at]
        self.at += 1
        return _unescaped(raw)

    def _string_ends(self) -> bool:
        rest = self._text[self.at + 1 : self.at + 40].lstrip()
        return not rest or rest[0] in _AFTER_A_STRING

    def _word(self) -> Any:
        word = self._bare(",}]\n").strip()
        if word.lower() in _WORDS:
            return _WORDS[word.lower()]
        try:
            number = json.loads(word)
        except ValueError:
            return word
        return number if isinstance(number, int | float) else word

    def _bare(self, stops: str) -> str:
        end = _first_of(self._text, stops, self.at)
        start, self.at = self.at, len(self._text) if end < 0 else end
        return self._text[start : self.at]

    def _peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1
        return self._text[self.at] if self.at < len(self._text) else ""


def _unescaped(raw: str) -> str:
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        return raw.replace("\\'", "'").replace('\\"', '"').replace("\\n", "\n")


def _first_of(text: str, characters: str, at: int) -> int:
    places = [place for c in characters if (place := text.find(c, at)) >= 0]
    return min(places, default=-1)
