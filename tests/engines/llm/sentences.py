"""Sentences that a pattern describes, with what their slots must come out as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hypothesis import assume
from hypothesis import strategies as st

from parley.engines.llm.scripted.pattern import Either, Maybe, Node, Run, Slot, Word
from parley.engines.llm.scripted.script import Intent, Script
from parley.engines.llm.scripted.words import words_of


@dataclass(frozen=True)
class Sentence:
    text: str
    slots: Mapping[str, str] = field(default_factory=dict)


def sentences(node: Node, script: Script, now: datetime) -> st.SearchStrategy[Sentence]:
    """Any sentence of the pattern whose slots hold something real (no 31st of February)."""
    # The strategy takes no arguments: Hypothesis would print them, and they are long.
    return st.composite(lambda draw: _Speaker(draw, script, now).sentence(node))()


def wishes(script: Script, now: datetime) -> st.SearchStrategy[tuple[Intent, Sentence]]:
    """An intent of the script and a sentence that asks for it."""

    def draw_wish(draw: st.DrawFn) -> tuple[Intent, Sentence]:
        names = [name for name, intent in script.intents.items() if intent.patterns]
        intent = script.intents[draw(st.sampled_from(names))]
        number = draw(st.integers(0, len(intent.patterns) - 1))
        return intent, _Speaker(draw, script, now).sentence(intent.patterns[number])

    return st.composite(draw_wish)()


class _Speaker:
    def __init__(self, draw: st.DrawFn, script: Script, now: datetime) -> None:
        self._draw = draw
        self._script = script
        self._now = now
        self._slots: dict[str, str] = {}

    def sentence(self, node: Node) -> Sentence:
        text = self._say(node)
        return Sentence(text, dict(self._slots))

    def _say(self, node: Node) -> str:
        match node:
            case Word(said=said):
                return said
            case Slot(name):
                return self._fill(name)
            case Maybe(part):
                return self._say(part) if self._draw(st.booleans()) else ""
            case Either(options):
                return self._say(options[self._draw(st.integers(0, len(options) - 1))])
            case Run(parts):
                return " ".join(filter(None, [self._say(part) for part in parts]))

    def _fill(self, name: str) -> str:
        type_ = self._script.slots[name].type
        text = self._say(type_.said)
        value = type_.value(words_of(text), self._now)
        assume(value is not None)
        self._slots[name] = value or ""
        return text
