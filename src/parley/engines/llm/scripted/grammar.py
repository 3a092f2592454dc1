"""The script as a JSGF grammar: what a recogniser should expect to hear.

    said = [opening] sentence [closing]

An opening is a filler, or a whole short sentence ("hello", "yes"), and a closing a polite word,
so that two sentences in a row are heard. Patterns that end or begin alike share what they have in
common: the grammar's size decides how fast and how well a recogniser works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from parley.engines.llm.scripted.pattern import (
    Either,
    Maybe,
    Node,
    Run,
    Slot,
    Word,
    parse_pattern,
    slots_of,
)
from parley.engines.llm.scripted.script import Script
from parley.engines.llm.scripted.slots import YesNo
from parley.engines.llm.scripted.words import CONTRACTIONS

_UNHEARD_FORMS = ("cannot", "gonna", "wanna")
_SHORT_FORMS: Mapping[tuple[str, ...], str] = {
    full: short for short, full in CONTRACTIONS.items() if short not in _UNHEARD_FORMS
}
# A recogniser knows "ten a.m." by the letters' names, not by the words "a" and "m".
_LETTERS: Mapping[tuple[str, ...], str] = {("a", "m"): "a.m.", ("p", "m"): "p.m."}
_BEFORE = "(um | uh | well | okay | and)"
_AFTER = "(please | thank you | thanks)"

Parts = tuple[Node, ...]


def jsgf(script: Script) -> str:
    """The whole grammar."""
    intents = script.intents.values()
    courtesies = [node for each in intents if each.is_courtesy for node in each.patterns]
    wishes = [node for each in intents if not each.is_courtesy for node in each.patterns]
    expected = {name for each in intents for name in each.slots}
    answers = [node for name in sorted(expected) for node in script.slots[name].answers]
    sentences = [*wishes, *answers]
    slots = dict.fromkeys(name for node in (*courtesies, *sentences) for name in slots_of(node))
    rules: list[tuple[str, Node]] = [
        *((f"slot_{name}", script.slots[name].type.said) for name in slots),
        ("short", shared([*courtesies, YesNo().said])),
        ("sentence", shared(sentences)),
        ("before", parse_pattern(_BEFORE)),
        ("after", parse_pattern(_AFTER)),
    ]
    return "\n".join([
        "#JSGF V1.0;",
        f"grammar {re.sub(r'[^A-Za-z0-9_]', '_', script.name) or 'script'};",
        *(f"<{name}> = {_text(node)};" for name, node in rules),
        "public <said> = [<before>] ([<short>] <sentence> [<after>] | <short> [<short>]);",
        "",
    ])  # fmt: skip


def shared(nodes: Iterable[Node]) -> Node:
    """One pattern for all, in which common endings, then common beginnings, stand once."""
    flat: list[Node] = []
    for node in nodes:
        flat.extend(node.options if isinstance(node, Either) else [node])
    return _factored([_parts(node) for node in dict.fromkeys(flat)], at_end=True)


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
        rest = inner if all(rests) else Maybe(inner)
        options.append(Run((*_parts(rest), edge) if at_end else (edge, *_parts(rest))))
    if at_end and lonely:
        options.append(_factored(lonely, at_end=False))
    else:
        options.extend(_node(row) for row in lonely)
    return options[0] if len(options) == 1 else Either(tuple(options))


def _parts(node: Node) -> Parts:
    return node.parts if isinstance(node, Run) else (node,)


def _node(parts: Parts) -> Node:
    return parts[0] if len(parts) == 1 else Run(parts)


def _text(node: Node) -> str:
    match node:
        case Word(said=said):
            return said
        case Slot(name):
            return f"<slot_{name}>"
        case Maybe(part):
            return f"[{_text(part)}]"
        case Either(options):
            return f"({' | '.join(dict.fromkeys(_text(option) for option in options))})"
        case Run(parts):
            return " ".join(_run(parts))


def _run(parts: Parts) -> Iterable[str]:
    """The parts in turn, words that run together ("what is") in both forms."""
    at = 0
    while at < len(parts):
        pair = tuple(part.key for part in parts[at : at + 2] if isinstance(part, Word))
        if pair in _LETTERS:
            yield _LETTERS[pair]
        elif pair in _SHORT_FORMS:
            yield f"({' '.join(pair)} | {_SHORT_FORMS[pair]})"
        else:
            yield _text(parts[at])
            at += 1
            continue
        at += 2
