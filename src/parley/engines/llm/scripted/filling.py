"""What is being arranged, and how an utterance fills its slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from parley.engines.llm.scripted.hearing import Heard, IntentFit, Span
from parley.engines.llm.scripted.script import Intent, Script
from parley.engines.llm.scripted.slots import SlotType


@dataclass(slots=True)
class Flow:
    """An intent being carried out. ``asking`` is a slot, ``confirm``, ``change`` or nothing."""

    intent: Intent
    slots: dict[str, str]
    asking: str = ""
    misses: int = 0
    answer: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Filling:
    """The slots that an utterance fills, and the weight of the words that do."""

    values: dict[str, str]
    weight: float


def fill_from(
    flow: Flow, heard: Heard, fit: IntentFit | None, script: Script, now: datetime
) -> Filling:
    """Slots first as the intent's own pattern captured them, then wherever their words stand."""
    values: dict[str, str] = {}
    taken: list[Span] = []
    if fit is not None:
        for name, words in fit.slot_words().items():
            taken.append(fit.fit.slots[name])
            value = script.slots[name].type.value(words, now)
            if value is not None:
                values[name] = value
    for type_, names in _open_slots(flow, script, values):
        asked = flow.asking in (*names, "confirm", "change")
        free = [span for span in heard.spans(type_, asked=asked) if not _overlaps(span, taken)]
        for name, span in zip(names, free, strict=False):
            value = type_.value(heard.words[slice(*span)], now)
            if value is not None:
                values[name] = value
                taken.append(span)
    return Filling(values, heard.weight_of(taken))


def _open_slots(
    flow: Flow, script: Script, filled: Mapping[str, str]
) -> Iterator[tuple[SlotType, list[str]]]:
    """For each type, the slots that a word of that type would go to, likeliest first."""
    needs = [name for name in flow.intent.needs if name not in filled]
    missing = [name for name in needs if name not in flow.slots]
    # What was asked last is corrected most.
    given = [name for name in reversed(needs) if name in flow.slots] if flow.asking else []
    extra = sorted(flow.intent.slots - set(flow.intent.needs) - set(filled))
    asked = [flow.asking] if flow.asking in missing else []
    every: list[str] = [*asked, *missing, *given, *extra]
    ordered = list(dict.fromkeys(every))
    for type_ in dict.fromkeys(script.slots[name].type for name in ordered):
        yield type_, [name for name in ordered if script.slots[name].type is type_]


def _overlaps(span: Span, taken: list[Span]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in taken)
