"""Names: finding what others registered under one, and helping whoever misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """One sentence: the nearest right name, or all of them when none is near."""
    names = sorted(set(known))
    if not names:
        return "There are none."
    by_folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wrong.casefold(), by_folded, n=1, cutoff=0.65)
    if near:
        return f"Did you mean {by_folded[near[0]]}?"
    return f"Known: {', '.join(names)}."


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    """An entry point that could not be loaded, and why."""

    group: str
    name: str
    target: str
    reason: str

    def __str__(self) -> str:
        return f"{self.group} {self.name} ({self.target}) can't be loaded: {self.reason}"


@dataclass(frozen=True, slots=True)
class Entries:
    """What one group of entry points holds: name, target and object, in the order of names."""

    loaded: tuple[tuple[str, str, object], ...] = ()
    broken: tuple[BrokenEntry, ...] = ()


def load_entries(group: str) -> Entries:
    """Import everything registered under ``group``; a broken one is reported, never raised."""
    loaded: list[tuple[str, str, object]] = []
    broken: list[BrokenEntry] = []
    for entry in sorted(entry_points(group=group), key=_entry_name):
        try:
            loaded.append((entry.name, entry.value, entry.load()))
        except Exception as error:
            # A stranger's package may fail in any way at import; the rest must still work.
            reason = f"{type(error).__name__}: {error}"
            broken.append(BrokenEntry(group, entry.name, entry.value, reason))
    return Entries(tuple(loaded), tuple(broken))


def _entry_name(entry: EntryPoint) -> str:
    return entry.name
