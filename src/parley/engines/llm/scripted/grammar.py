"""The script as a JSGF grammar: what a recogniser should expect to hear.

    said = [filler] ([opening] sentence [closing] | opening [opening])

An opening is a short sentence of its own ("hello", "yes", "thank you"), so two sentences in a row
are heard; a sentence is a wish or the answer to a question. The script understands everything
that the grammar allows. Sentences repeat each other's parts: ``engines.jsgf`` folds these
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from parley.engines.llm.scripted.pattern import Either, Maybe, Node, Run, Slot, Word
from parley.engines.llm.scripted.script import Script
from parley.engines.llm.scripted.slots import SlotType, YesNo
from parley.engines.llm.scripted.words import CONTRACTIONS

_UNHEARD_FORMS = ("cannot", "gonna", "wanna")
_SHORT_FORMS: Mapping[tuple[str, ...], str] = {
    full: short for short, full in CONTRACTIONS.items() if short not in _UNHEARD_FORMS
}
# A recogniser knows "ten a.m." by the letters' names, not by the words "a" and "m".
_LETTERS: Mapping[tuple[str, ...], str] = {("a", "m"): "a.m.", ("p", "m"): "p.m."}
_FILLER = "[um | uh | well]"
_CLOSING = "[please | thank you | thanks]"


def jsgf(script: Script) -> str:
    """The whole grammar."""
    intents = script.intents.values()
    openings: list[Node] = [YesNo().said]
    wishes: list[Node] = []
    for intent in intents:
        (openings if intent.is_courtesy else wishes).extend(intent.patterns)
    expected = sorted({name for each in intents for name in each.slots})
    answers = [node for name in expected for node in script.slots[name].answers]
    speller = _Speller(script)
    rules = {"opening": speller.rule(openings), "sentence": speller.rule([*wishes, *answers])}
    return "\n".join([
        "#JSGF V1.0;",
        f"grammar {re.sub(r'[^A-Za-z0-9_]', '_', script.name) or 'script'};",
        *(f"<{name}> = {text};" for name, text in {**speller.slot_rules(), **rules}.items()),
        f"public <said> = {_FILLER} "
        f"([<opening>] <sentence> {_CLOSING} | <opening> [<opening>]);",
        "",
    ])  # fmt: skip


@dataclass
class _Speller:
    """Writes patterns as JSGF; slots of the same type share one rule."""

    script: Script
    names: dict[SlotType, str] = field(default_factory=dict[SlotType, str])

    def rule(self, nodes: Iterable[Node]) -> str:
        return " | ".join(dict.fromkeys(self._spell(node) for node in nodes))

    def slot_rules(self) -> dict[str, str]:
        return {name: self._spell(type_.said) for type_, name in self.names.items()}

    def _spell(self, node: Node) -> str:
        match node:
            case Word(said=said):
                return said
            case Slot(name):
                type_ = self.script.slots[name].type
                return f"<{self.names.setdefault(type_, f'slot_{name}')}>"
            case Maybe(part):
                return f"[{self._spell(part)}]"
            case Either(options):
                return f"({' | '.join(dict.fromkeys(self._spell(option) for option in options))})"
            case Run(parts):
                return " ".join(self._spell_run(parts))

    def _spell_run(self, parts: tuple[Node, ...]) -> Iterator[str]:
        """The parts in turn, words that run together ("what is") in both forms."""
        at = 0
        while at < len(parts):
            pair = tuple(part.key for part in parts[at : at + 2] if isinstance(part, Word))
            if pair in _LETTERS:
                yield _LETTERS[pair]
            elif pair in _SHORT_FORMS:
                yield f"({' '.join(pair)} | {_SHORT_FORMS[pair]})"
            else:
                yield self._spell(parts[at])
                at += 1
                continue
            at += 2
