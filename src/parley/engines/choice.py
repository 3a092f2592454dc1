"""Which engine a wish brings: the choice, the chain behind it, and the words that say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from parley.core.errors import EngineUnavailable, ModelMissing, NotFound
from parley.core.registry import did_you_mean
from parley.engines.found import FoundEngines, Spec
from parley.engines.spec import EngineOptions, EngineSpec, Kind, Status
from parley.engines.wish import AUTO, EngineWish

EngineT = TypeVar("EngineT")

AUTO_ORDER: Mapping[Kind, tuple[str, ...]] = {
    "stt": ("vosk", "speaches", "deepgram", "openai", "whisper", "moonshine"),
    "llm": ("llama_cpp", "ollama", "openai", "llama"),
    "tts": ("piper", "orpheus", "speaches", "deepgram", "openai", "kokoro"),
}
"""What ``auto`` prefers. Engines of other packages follow, and the built-in one is last."""

LAST: Mapping[Kind, str] = {"stt": "builtin", "llm": "scripted", "tts": "builtin"}
"""The engines that work offline on any machine."""


@dataclass(frozen=True)
class Standby(Generic[EngineT]):
    """A place in a chain. A stand-in (the dialogue script for a language model) serves only
    until another has worked."""

    spec: EngineSpec[EngineT]
    options: EngineOptions
    is_stand_in: bool = False


@dataclass(frozen=True)
class Choice(Generic[EngineT]):
    """The engine to start with, the options to open it with, and why it was chosen.

    ``chain`` is all that may serve in its stead, itself included, in the order of preference.
    """

    spec: EngineSpec[EngineT]
    options: EngineOptions
    why: str
    chain: tuple[Standby[EngineT], ...] = ()


@dataclass
class Choosing:
    """What was found so far while a choice is made."""

    places: list[Standby[Any]] = field(default_factory=list[Standby[Any]])
    refused: list[tuple[Spec, Status]] = field(default_factory=list[tuple[Spec, Status]])
    choice: Choice[Any] | None = None
    among_started: bool = False

    def has(self, place: Standby[Any]) -> bool:
        """Whether the chain holds that engine already; a stand-in that is wished for by name
        becomes one of the chain."""
        for number, each in enumerate(self.places):
            if (each.spec, each.options) == (place.spec, place.options):
                self.places[number] = each if place.is_stand_in else place
                return True
        return False


def spec_for(found: FoundEngines, kind: Kind, wish: EngineWish) -> Spec:
    """The engine that is wished for by name. Raises ``NotFound``, or ``EngineUnavailable`` for
    one whose package is broken."""
    specs = found.of(kind)
    if wish.name in specs:
        return specs[wish.name]
    by = f" ({wish.by})" if wish.by else ""
    for entry in found.broken:
        if (entry.group, entry.name) == (f"parley.{kind}", wish.name):
            raise EngineUnavailable(f"{entry}{by}.", hint="Install its package again.")
    hint = did_you_mean(wish.name, [AUTO, *specs])
    if wish.name in AUTO_ORDER[kind]:
        hint = f"It is not part of this version. Known: {', '.join([AUTO, *sorted(specs)])}."
    raise NotFound(f"There is no {kind} engine {wish.name!r}{by}.", hint=hint)


def wished_specs(found: FoundEngines, kind: Kind, wish: EngineWish) -> list[Spec]:
    """The engine of that name; for ``auto`` every one of the kind, the most preferred first."""
    if wish.name != AUTO:
        return [spec_for(found, kind, wish)]
    specs = found.of(kind)
    known = [*AUTO_ORDER[kind], LAST[kind]]
    names = [*AUTO_ORDER[kind], *sorted(set(specs) - set(known)), LAST[kind]]
    return [specs[name] for name in names if name in specs]


def and_then(choice: Choice[Any], places: Sequence[Standby[Any]]) -> str:
    """Who serves when the chosen engine fails."""
    first = (choice.spec, choice.options)
    names = [each.spec.name for each in places if (each.spec, each.options) != first]
    return f"; if it fails: {', '.join(names)}" if names else ""


def why_chosen(wish: EngineWish, spec: Spec, refused: Sequence[tuple[Spec, Status]]) -> str:
    if wish.name != AUTO:
        why = f"asked for by {wish.by or 'name'}"
    elif spec.name == LAST[spec.kind]:
        why = "auto: no other is set up"
    else:
        why = "auto: set up, and answers"
    if refused:
        over = ", ".join(f"{other.name} ({status.detail})" for other, status in refused)
        why = f"{why.replace('no other is set up', 'the last resort')}; passed over: {over}"
    return why


def none_works(kind: Kind, refused: Sequence[tuple[Spec, Status]]) -> EngineUnavailable:
    """The error to raise: ``ModelMissing`` where a model would have been enough."""
    if not refused:
        return EngineUnavailable(f"No {kind} engine is installed.", hint="Install Parley again.")
    reasons = "; ".join(f"{spec.name}: {status.detail}" for spec, status in refused)
    hints = dict.fromkeys(status.hint for _, status in refused if status.hint)
    message, hint = f"No {kind} engine can work ({reasons}).", " ".join(hints)
    missing = next((status.missing_model for _, status in refused if status.missing_model), "")
    if missing:
        return ModelMissing(message, model=missing, hint=hint)
    return EngineUnavailable(message, hint=hint)
