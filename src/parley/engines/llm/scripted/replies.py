"""What is said: templates over values, slots and results, read aloud naturally."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, cast

from parley.core.spoken import spoken_date, spoken_list, spoken_time

Lookup = Callable[[str], Any]
"""``lookup("day")``: the value of a name in a template; None when it has none."""

NOW_NAMES = ("part_of_day", "time_now", "today")
"""Names that every template may use; they come from the clock."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[A-Za-z0-9_]+)*\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_TIME = re.compile(r"[0-2]\d:[0-5]\d\Z")
_SPACE = re.compile(r"\s+")
_SPACE_BEFORE_STOP = re.compile(r"\s+([.,;:?!])")


class BadTemplate(ValueError):
    """A reply or argument with a field that can't be read."""


class Template:
    """Text with fields such as ``{day}`` or ``{result.times}``."""

    def __init__(self, text: str) -> None:
        self.text = text
        parts = _FIELD.split(text)
        self._texts = parts[::2]
        self.names: tuple[str, ...] = tuple(name.strip() for name in parts[1::2])
        if any("{" in part or "}" in part for part in self._texts):
            raise BadTemplate(f'"{text}" has a brace without its partner')
        for name in self.names:
            if not _NAME.match(name):
                raise BadTemplate(f'"{{{name}}}" is no field: write a name in small letters')

    @property
    def is_field(self) -> bool:
        """Whether a single field is all there is."""
        return len(self.names) == 1 and not any(self._texts)

    def render(self, lookup: Lookup) -> str:
        """The text as it is spoken: dates, times and lists read naturally, first letter large."""
        text = self._fill(lookup, spoken)
        text = _SPACE_BEFORE_STOP.sub(r"\1", _SPACE.sub(" ", text)).strip()
        return text[:1].upper() + text[1:]

    def value(self, lookup: Lookup) -> Any:
        """The text as a tool gets it; a lone field gives its value itself, None if it has none."""
        return lookup(self.names[0]) if self.is_field else self._fill(lookup, str)

    def _fill(self, lookup: Lookup, say: Callable[[Any], str]) -> str:
        filled = [self._texts[0]]
        for name, text in zip(self.names, self._texts[1:], strict=True):
            value = lookup(name)
            filled.append("" if value is None else say(value))
            filled.append(text)
        return "".join(filled)


def spoken(value: Any) -> str:
    """A value as it is said: ``2026-03-03`` → ``Tuesday, March 3rd``, lists with "and"."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _spoken_text(value)
    if isinstance(value, Mapping):
        return spoken_list([spoken(each) for each in cast("Mapping[str, Any]", value).values()])
    if isinstance(value, Iterable):
        return spoken_list([spoken(each) for each in cast("Iterable[Any]", value)])
    return str(value)


def _spoken_text(text: str) -> str:
    try:
        if _DATE.match(text):
            return spoken_date(date.fromisoformat(text))
        if _TIME.match(text):
            return spoken_time(time.fromisoformat(text))
    except ValueError:
        pass
    return text


def now_value(name: str, now: datetime) -> str | None:
    """The value of one of ``NOW_NAMES``."""
    match name:
        case "today":
            return spoken_date(now.date())
        case "time_now":
            return spoken_time(now.time().replace(second=0, microsecond=0))
        case "part_of_day":
            return "morning" if now.hour < 12 else "afternoon" if now.hour < 18 else "evening"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Names:
    """The values that templates may name: a tool's answer, slots, values, the clock."""

    values: Mapping[str, str]
    slots: Mapping[str, str]
    answer: Mapping[str, Any]
    now: datetime

    def __call__(self, name: str) -> Any:
        first, *rest = name.split(".")
        for known in (self.answer, self.slots, self.values):
            if first in known:
                return walk(known[first], rest)
        return now_value(first, self.now)


def walk(data: Any, path: Sequence[str]) -> Any:
    """What lies at a path such as ``appointments.0.day``; None when there is nothing."""
    for step in path:
        if isinstance(data, Mapping):
            data = cast("Mapping[str, Any]", data).get(step)
        elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
            items = cast("Sequence[Any]", data)
            data = items[int(step)] if step.isdecimal() and int(step) < len(items) else None
        else:
            return None
    return data
