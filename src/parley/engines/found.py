"""The engines that this installation has, ours and strangers' alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from parley.core.registry import BrokenEntry, load_entries
from parley.engines.spec import EngineSpec, Kind

KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")

Spec = EngineSpec[Any]


@dataclass(frozen=True)
class FoundEngines:
    """Every engine by kind and name, and the entry points that gave none."""

    specs: Mapping[Kind, Mapping[str, Spec]] = field(default_factory=dict[Kind, Mapping[str, Spec]])
    broken: tuple[BrokenEntry, ...] = ()

    @property
    def environment_names(self) -> frozenset[str]:
        """The environment names that these engines want to be told of."""
        return frozenset(name for spec in self.all() for name in spec.environment.values())

    def of(self, kind: Kind) -> Mapping[str, Spec]:
        return self.specs.get(kind, {})

    def all(self) -> list[Spec]:
        return [spec for kind in KINDS for spec in self.of(kind).values()]


def find_engines() -> FoundEngines:
    """Import what is registered as ``parley.stt``, ``parley.llm`` and ``parley.tts``.

    An engine that can't be imported is reported in ``broken``; the others still work.
    """
    specs: dict[Kind, Mapping[str, Spec]] = {}
    broken: list[BrokenEntry] = []
    for kind in KINDS:
        entries = load_entries(f"parley.{kind}")
        broken.extend(entries.broken)
        fitting: dict[str, Spec] = {}
        for name, target, entry in entries.loaded:
            if isinstance(entry, EngineSpec) and (entry.kind, entry.name) == (kind, name):
                fitting[name] = cast(Spec, entry)
            else:
                reason = f"it is no EngineSpec of kind {kind} and name {name}"
                broken.append(BrokenEntry(f"parley.{kind}", name, target, reason))
        specs[kind] = fitting
    return FoundEngines(specs, tuple(broken))


def engines_from(specs: Iterable[Spec]) -> FoundEngines:
    """The same from specs at hand, for tests and plug-in authors."""
    by_kind: dict[Kind, dict[str, Spec]] = {kind: {} for kind in KINDS}
    for spec in specs:
        by_kind[spec.kind][spec.name] = spec
    return FoundEngines({**by_kind})
