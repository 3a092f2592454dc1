"""The details at the end of a wish: "… on Tuesday at ten for Anna"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from parley.engines.llm.scripted.pattern import Maybe, Node, Run, Slot, slots_of, words_in
from parley.engines.llm.scripted.words import is_telling

Parts = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """One slot and the words that lead to it ("on", "how about")."""

    lead: Node | None
    slot: str
    is_optional: bool = False


def split_details(node: Node, *, all_leads: bool) -> tuple[Parts, tuple[Detail, ...]]:
    """Part a pattern into what comes before its details, and these.

    Words before a slot lead to it if they tell nothing themselves; with ``all_leads`` they
    always do.
    """
    parts = list(parts_of(node))
    found: list[Detail] = []
    while parts:
        details = _details_of(parts[-1], all_leads)
        if details is None:
            break
        last = parts.pop()
        if isinstance(last, Slot):
            lead: list[Node] = []
            while parts and _leads(parts[-1], all_leads):
                lead.insert(0, parts.pop())
            details = [replace(details[0], lead=joined(lead) if lead else None)]
        found = details + found
    return tuple(parts), tuple(found)


def selections(details: Sequence[Detail]) -> Iterator[tuple[Detail, ...]]:
    """Every way of leaving out those that may be left out, but never all of them."""
    choices = [(True, False) if each.is_optional else (True,) for each in details]
    for taken in product(*choices):
        chosen = tuple(each for each, is_in in zip(details, taken, strict=True) if is_in)
        if chosen:
            yield chosen


def parts_of(node: Node) -> Parts:
    return node.parts if isinstance(node, Run) else (node,)


def joined(parts: Sequence[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Run(tuple(parts))


def _details_of(part: Node, all_leads: bool) -> list[Detail] | None:
    if isinstance(part, Slot):
        return [Detail(None, part.name)]
    if isinstance(part, Maybe):
        head, details = split_details(part.part, all_leads=all_leads)
        if details and not head:
            return [replace(each, is_optional=True) for each in details]
    return None


def _leads(part: Node, all_leads: bool) -> bool:
    if any(True for _ in slots_of(part)):
        return False
    return all_leads or not any(is_telling(word.key) for word in words_in(part))
