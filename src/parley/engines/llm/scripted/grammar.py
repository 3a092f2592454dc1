"""The script as a JSGF grammar: what a recogniser should expect to hear.

    said     = [opening] sentence [closing]
    sentence = wish | [open wish] details
    details  = "on Tuesday at ten for Anna" and the like

A recogniser copies a rule to every place that names it, and a day has a hundred words: days,
times and names therefore stand in one place, behind all wishes that are open to some. So the
grammar allows a little more than the script does; that costs less than a large grammar, which is
slow and hears worse. An opening is a filler or a short sentence ("hello", "yes"): two in a row
are heard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from parley.engines.llm.scripted.details import (
    Detail,
    Parts,
    joined,
    parts_of,
    selections,
    split_details,
)
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
_BEFORE = "(um | uh | well | okay | and)"
_AFTER = "(please | thank you | thanks)"


def jsgf(script: Script) -> str:
    """The whole grammar."""
    writer = _Writer(script)
    intents = script.intents.values()
    for intent in intents:
        writer.sort(intent.patterns, into=writer.short if intent.is_courtesy else writer.wishes)
    for name in sorted({name for intent in intents for name in intent.slots}):
        writer.sort(script.slots[name].answers, into=writer.wishes, is_answer=True)
    return writer.text()


@dataclass
class _Writer:
    """Sorts a script's patterns into the rules of the grammar."""

    script: Script
    short: list[Node] = field(default_factory=lambda: [YesNo().said])
    wishes: list[Node] = field(default_factory=list[Node])
    open_wishes: list[Node] = field(default_factory=list[Node])
    details: list[tuple[Detail, ...]] = field(default_factory=list[tuple[Detail, ...]])

    def sort(self, patterns: Iterable[Node], *, into: list[Node], is_answer: bool = False) -> None:
        for pattern in patterns:
            for node in pattern.options if isinstance(pattern, Either) else (pattern,):
                head, details = split_details(node, all_leads=is_answer)
                if not details:
                    into.append(node)
                    continue
                self.details.extend(selections(details))
                if head:
                    self.open_wishes.append(joined(head))
                if head and all(each.is_optional for each in details):
                    into.append(joined(head))

    def text(self) -> str:
        sentences = ["<wish>"] if self.wishes else []
        rules = {"short": shared(self.short)}
        if self.wishes:
            rules["wish"] = shared(self.wishes)
        if self.details:
            rules["details"] = self._details()
            sentences.append("<details>")
        if self.open_wishes:
            rules["open_wish"] = shared(self.open_wishes)
            sentences[-1] = "[<open_wish>] <details>"
        slots = {f"slot_{name}": type_.said for type_, name in self._slot_names().items()}
        sentence = f"[<short>] ({' | '.join(sentences)}) [{_AFTER}] | " if sentences else ""
        return "\n".join([
            "#JSGF V1.0;",
            f"grammar {re.sub(r'[^A-Za-z0-9_]', '_', self.script.name) or 'script'};",
            *(f"<{rule}> = {self._spell(node)};" for rule, node in {**slots, **rules}.items()),
            f"public <said> = [{_BEFORE}] ({sentence}<short> [<short>]);",
            "",
        ])  # fmt: skip

    def _details(self) -> Node:
        """All runs of details that some wish may end with, by what they are."""
        leads: dict[SlotType, list[Node]] = {}
        for each in (each for row in self.details for each in row):
            found = leads.setdefault(self.script.slots[each.slot].type, [])
            if each.lead is not None:
                found.append(each.lead)
        names = self._slot_names()
        nodes: dict[SlotType, Node] = {}
        for type_, found in leads.items():
            slot = Slot(names[type_])
            nodes[type_] = Run((Maybe(shared(found)), slot)) if found else slot
        rows = [
            tuple(nodes[self.script.slots[each.slot].type] for each in row) for row in self.details
        ]
        return _factored(list(dict.fromkeys(rows)), at_end=False)

    def _slot_names(self) -> dict[SlotType, str]:
        """For each type in use, the first slot of that type: its rule serves all of them."""
        names: dict[SlotType, str] = {}
        for name in sorted({name for each in self.script.intents.values() for name in each.slots}):
            names.setdefault(self.script.slots[name].type, name)
        return names

    def _spell(self, node: Node) -> str:
        match node:
            case Word(said=said):
                return said
            case Slot(name):
                return f"<slot_{self._slot_names()[self.script.slots[name].type]}>"
            case Maybe(part):
                return f"[{self._spell(part)}]"
            case Either(options):
                return f"({' | '.join(dict.fromkeys(self._spell(option) for option in options))})"
            case Run(parts):
                return " ".join(self._spell_run(parts))

    def _spell_run(self, parts: Parts) -> Iterable[str]:
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


def shared(nodes: Iterable[Node]) -> Node:
    """One pattern for all, in which common endings, then common beginnings, stand once."""
    flat: list[Node] = []
    for node in nodes:
        flat.extend(node.options if isinstance(node, Either) else [node])
    return _factored([parts_of(node) for node in dict.fromkeys(flat)], at_end=True)


def _factored(rows: Sequence[Parts], *, at_end: bool) -> Node:
    groups: dict[Node, list[Parts]] = {}
    for row in rows:
        groups.setdefault(row[-1] if at_end else row[0], []).append(row)
    options: list[Node] = []
    lonely: list[Parts] = []
    for edge, group in groups.items():
        if len(group) == 1:
            lonely.extend(group)
            continue
        rests = [row[:-1] if at_end else row[1:] for row in group]
        inner = _factored([rest for rest in rests if rest], at_end=at_end)
        rest = parts_of(inner) if all(rests) else (Maybe(inner),)
        options.append(Run((*rest, edge) if at_end else (edge, *rest)))
    if at_end and lonely:
        options.append(_factored(lonely, at_end=False))
    else:
        options.extend(joined(row) for row in lonely)
    return options[0] if len(options) == 1 else Either(tuple(options))
