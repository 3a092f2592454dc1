"""How dates and times of day are said in English, from what the rules have found."""

from __future__ import annotations

import re

from parley.core.spoken import MONTHS
from parley.engines.tts.english_numbers import cardinal, ordinal, year

Match = re.Match[str]


def _month(name: str) -> str:
    return next(month for month in MONTHS if month.startswith(name.rstrip(".")[:3]))


def _day_and_month(day: int, month: int, in_year: str) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    said = f"{MONTHS[month - 1]} {ordinal(str(day))}"
    return f"{said}, {year(in_year)}" if in_year else said


def iso_date(found: Match) -> str | None:
    said = _day_and_month(int(found["d"]), int(found["m"]), found["y"])
    if said and found["H"]:
        said += f" at {_clock(int(found['H']), int(found['M']), '')}"
    return said


def slashed_date(found: Match) -> str | None:
    first, second, in_year = int(found["a"]), int(found["b"]), found["y"]
    if len(in_year) == 2:
        in_year = f"20{in_year}"
    # Americans put the month first; who writes a 13th month doesn't.
    month, day = (first, second) if first <= 12 else (second, first)
    return _day_and_month(day, month, in_year)


def month_and_day(found: Match) -> str | None:
    if not 1 <= int(found["d"]) <= 31:
        return None
    said = f"{_month(found['mon'])} {ordinal(found['d'])}"
    return f"{said}, {year(found['y'])}" if found["y"] else said


def day_of_month(found: Match) -> str | None:
    if not 1 <= int(found["d"]) <= 31:
        return None
    before = found.string[: found.start()].rstrip().lower()
    the = "" if before.endswith("the") else "the "
    said = f"{the}{ordinal(found['d'])} of {_month(found['mon'])}"
    return f"{said} {year(found['y'])}" if found["y"] else said


def _clock(hour: int, minute: int, half: str) -> str:
    half = {"a": " a.m.", "p": " p.m."}.get(half.strip().lower()[:1], "")
    if not half and (hour > 12 or hour == 0):
        half = " p.m." if hour else " a.m."
    if not half and not minute:
        return f"{cardinal(str(hour))} o'clock"
    words = cardinal(str((hour - 1) % 12 + 1))
    if minute:
        words += f" oh {cardinal(str(minute))}" if minute < 10 else f" {cardinal(str(minute))}"
    return words + half


def time_of_day(found: Match) -> str:
    return _clock(int(found["h"]), int(found["m"]), found["half"] or "")


def full_hour(found: Match) -> str | None:
    hour = int(found["h"])
    return _clock(hour, 0, found["half"]) if 1 <= hour <= 12 else None


def opening_hours(found: Match) -> str | None:
    """``9-5 p.m.``, ``9:00–17:30``."""
    first, second = found["m"] or found["half1"], found["m2"] or found["half"]
    if not second or not (first or found["half"]):
        return None
    begins = cardinal(found["h"])
    if first:
        begins = _clock(int(found["h"]), int(found["m"] or 0), found["half1"] or "")
    return f"{begins} to {_clock(int(found['h2']), int(found['m2'] or 0), found['half'] or '')}"
