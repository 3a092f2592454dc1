"""The pattern language of scripts: words, ``(a | b)``, ``[optional]``, ``{slot}``, ``<phrase>``.

A pattern is parsed into a small tree that both the matcher and the recogniser's grammar read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from parley.engines.llm.scripted.words import words_of


@dataclass(frozen=True, slots=True)
class Word:
    """One word: ``key`` is what the matcher compares, ``said`` what a recogniser knows it by."""

    key: str
    said: str


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


@dataclass(frozen=True, slots=True)
class Run:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Maybe:
    part: Node


Node = Word | Slot | Run | Either | Maybe


class BadPattern(ValueError):
    """A pattern that can't be read; the message says what is wrong and what to write."""


_TOKEN = re.compile(r"\s*(?:([()\[\]|])|\{([^{}]*)\}|<([^<>]*)>|([^\s()\[\]|{}<>]+)|(.))")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_CLOSING = {"(": ")", "[": "]"}


def parse_pattern(
    text: str, phrases: Mapping[str, Node] | None = None, *, may_be_silent: bool = False
) -> Node:
    """Read a pattern; ``phrases`` are the trees of the phrases that it may name."""
    parser = _Parser(text, phrases or {})
    node = parser.options("")
    if not may_be_silent and can_be_silent(node):
        raise BadPattern(
            f'"{text}" can be said by saying nothing. Leave at least one word outside of [ ].'
        )
    return node


class _Parser:
    def __init__(self, text: str, phrases: Mapping[str, Node]) -> None:
        self._text = text
        self._phrases = phrases
        self._tokens = [match.groups() for match in _TOKEN.finditer(text) if match[0].strip()]
        self._at = 0

    def options(self, opened_by: str) -> Node:
        """Everything up to the closing bracket (or the end), split at ``|``."""
        found: list[Node] = []
        parts: list[Node] = []
        while True:
            if self._at >= len(self._tokens):
                if opened_by:
                    raise self._bad(f"{opened_by} is never closed: add {_CLOSING[opened_by]}")
                break
            mark, slot, phrase, word, stray = self._tokens[self._at]
            self._at += 1
            if mark == "|":
                if not opened_by:
                    raise self._bad("put alternatives in brackets: (a | b)")
                found.append(self._sequence(parts))
                parts = []
            elif mark in (")", "]"):
                if not opened_by or mark != _CLOSING[opened_by]:
                    raise self._bad(f"{mark} has no opening bracket")
                break
            else:
                parts.extend(self._part(mark, slot, phrase, word, stray))
        found.append(self._sequence(parts))
        return found[0] if len(found) == 1 else Either(tuple(dict.fromkeys(found)))

    def _part(
        self, mark: str | None, slot: str | None, phrase: str | None, word: str | None,
        stray: str | None,
    ) -> Iterator[Node]:  # fmt: skip
        if mark is not None:
            inside = self.options(mark)
            yield Maybe(inside) if mark == "[" else inside
        elif slot is not None:
            if not _NAME.match(slot):
                raise self._bad(
                    f"{{{slot}}} is no slot: a slot's name is small letters, as {{day}}"
                )
            yield Slot(slot)
        elif phrase is not None:
            if phrase not in self._phrases:
                known = ", ".join(f"<{name}>" for name in self._phrases) or "none"
                raise self._bad(f"there is no phrase <{phrase}> (phrases above it: {known})")
            yield self._phrases[phrase]
        elif word is not None:
            yield from self._words(word)
        else:
            raise self._bad(f"{stray} is not closed or not opened")

    def _words(self, text: str) -> Iterator[Node]:
        keys = words_of(text)
        if not keys:
            raise self._bad(f'"{text}" has no letters')
        for key in keys:
            # "o'clock" and the like are looked up with their apostrophe.
            spelled = text.lower().replace("’", "'")
            yield Word(key, spelled if spelled.replace("'", "") == key else key)

    def _sequence(self, parts: list[Node]) -> Node:
        if not parts:
            raise self._bad("an alternative is empty; use [ ] for words that may be left out")
        flat = [one for part in parts for one in (part.parts if isinstance(part, Run) else (part,))]
        return flat[0] if len(flat) == 1 else Run(tuple(flat))

    def _bad(self, what: str) -> BadPattern:
        return BadPattern(f'In "{self._text}": {what}.')


def can_be_silent(node: Node) -> bool:
    """Whether the pattern can be said without a word."""
    match node:
        case Maybe():
            return True
        case Run(parts):
            return all(can_be_silent(part) for part in parts)
        case Either(options):
            return any(can_be_silent(option) for option in options)
        case _:
            return False


def slots_of(node: Node) -> Iterator[str]:
    """The names of the slots in a pattern, in order."""
    match node:
        case Slot(name):
            yield name
        case Maybe(part):
            yield from slots_of(part)
        case Run(parts) | Either(parts):
            for part in parts:
                yield from slots_of(part)
        case Word():
            return


def words_in(node: Node) -> Iterator[Word]:
    """Every word of a pattern."""
    match node:
        case Word():
            yield node
        case Maybe(part):
            yield from words_in(part)
        case Run(parts) | Either(parts):
            for part in parts:
                yield from words_in(part)
        case Slot():
            return
