"""Checks on what a model passes to a tool: models send rubbish, and must be told what is wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, time
from typing import Any

from parley.core.errors import ToolFailed
from parley.core.spoken import spoken_list

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(:00)?\Z")
_SHOWN_LETTERS = 60


class Arguments:
    """The arguments of one tool call; every method raises ``ToolFailed`` with a sentence."""

    def __init__(self, given: Mapping[str, Any], known: Collection[str]) -> None:
        self._given = given
        unknown = [name for name in given if name not in known]
        if unknown:
            takes = f"it takes {spoken_list(list(known))}" if known else "it takes none"
            raise ToolFailed(f"There is no argument {_shown(unknown[0])}; {takes}.")

    def has(self, name: str) -> bool:
        """Whether the argument holds something: models send null and "" for nothing."""
        return self._given.get(name) not in (None, "")

    def text(self, name: str, *, longest: int = 80) -> str:
        value = self._given.get(name)
        if not isinstance(value, str) or not value.strip():
            raise ToolFailed(f"{name} is missing: it must be text, not {_shown(value)}.")
        words = " ".join(value.split())
        if len(words) > longest:
            raise ToolFailed(f"{name} is too long: at most {longest} letters.")
        return words

    def day(self, name: str) -> date:
        value = self._given.get(name)
        try:
            return date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ToolFailed(
                f"{name} must be a date such as 2026-03-03, not {_shown(value)}."
            ) from error

    def time_of_day(self, name: str) -> time:
        value = self._given.get(name)
        found = _TIME.match(value) if isinstance(value, str) else None
        if not found:
            raise ToolFailed(f"{name} must be a time such as 09:30, not {_shown(value)}.")
        return time(int(found[1]), int(found[2]))

    def factor(self, name: str, *, least: float, most: float) -> float:
        """A number between two limits; 1.0 when it isn't given."""
        if not self.has(name):
            return 1.0
        value = self._given[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ToolFailed(f"{name} must be a number, not {_shown(value)}.")
        if not least <= value <= most:
            raise ToolFailed(f"{name} must be between {least} and {most}, not {_shown(value)}.")
        return float(value)


def one_of(names: Sequence[str], description: str) -> dict[str, Any]:
    """The schema of an argument that is one of some names, as far as there are any."""
    schema: dict[str, Any] = {"type": "string", "description": description}
    # Some APIs refuse a list of nothing.
    return {**schema, "enum": list(names)} if names else schema


def _shown(value: Any) -> str:
    text = "empty" if value in (None, "") else repr(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"
