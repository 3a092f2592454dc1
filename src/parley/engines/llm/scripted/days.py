"""Days and clock times: the words that name them, and what those words mean on a given day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time, timedelta

from parley.core.spoken import MONTHS, SMALL_NUMBERS, WEEKDAYS, spoken_number
from parley.engines.llm.scripted.words import ordinal_words

_WEEKDAYS = {name.lower(): number for number, name in enumerate(WEEKDAYS)}
_MONTHS = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_ORDINALS = {ordinal_words(number): number for number in range(1, 32)}
_CARDINALS = {spoken_number(number): number for number in range(60)}

_WEEKDAY = f"({' | '.join(_WEEKDAYS)})"
_MONTH = f"({' | '.join(_MONTHS)})"
_ORDINAL = f"({' | '.join(_ORDINALS)})"
_HOUR = f"({' | '.join(SMALL_NUMBERS[1:13])})"
_HALF_DAY = "(a m | p m | in the (morning | afternoon | evening))"

DAY_SAID = f"""
(today | tomorrow | [the] day after tomorrow | [(this | next)] {_WEEKDAY}
 | [{_WEEKDAY}] (the | {_MONTH} [the]) {_ORDINAL} [of {_MONTH}])
"""
DAY_TYPED = f"""
(in ({" | ".join(SMALL_NUMBERS[1:15])} | a) (day | days | week | weeks) | coming {_WEEKDAY}
 | {_ORDINAL} of {_MONTH} | {_WEEKDAY} {_ORDINAL} [of {_MONTH}]
 | [{_WEEKDAY}] {_MONTH} ({" | ".join(spoken_number(number) for number in range(1, 32))}))
"""
TIME_SAID = f"""
(noon | midday
 | {_HOUR} [(o'clock | oh five | ten | fifteen | twenty | twenty five | thirty | thirty five
   | forty | forty five | fifty | fifty five)] [{_HALF_DAY}]
 | (half past | [a] quarter (past | to) | (five | ten | twenty) (past | to)) {_HOUR} [{_HALF_DAY}])
"""
TIME_TYPED = f"""
(midnight | half {_HOUR}
 | ({" | ".join(spoken_number(number) for number in range(24))})
   [(o'clock | oh (zero | {" | ".join(SMALL_NUMBERS[1:10])})
     | {" | ".join(spoken_number(number) for number in range(10, 60))})] [({_HALF_DAY} | at night)]
 | ({" | ".join(spoken_number(number) for number in range(1, 30))}) [minutes] (past | to) {_HOUR}
   [({_HALF_DAY} | at night)])
"""

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z")
_MONTHS_AHEAD = 13


def is_iso_date(word: str) -> bool:
    return _DATE.match(word) is not None


def day_meant(words: Sequence[str], today: date) -> date | None:
    """The day that the words name, seen from today; None when there is no such day."""
    if len(words) == 1 and is_iso_date(words[0]):
        return _iso(words[0])
    if words[-1] in ("today", "tomorrow"):
        ahead = 2 if "after" in words else int(words[-1] == "tomorrow")
        return _later(today, ahead)
    if words[0] == "in":
        count = 1 if words[1] == "a" else SMALL_NUMBERS.index(words[1])
        return _later(today, count * (7 if words[-1].startswith("week") else 1))
    weekday = next((_WEEKDAYS[word] for word in words if word in _WEEKDAYS), None)
    month = next((_MONTHS[word] for word in words if word in _MONTHS), None)
    plain = " ".join(word for word in words if word not in _WEEKDAYS and word not in _MONTHS)
    number_text = re.sub(r"\b(the|of|this|next|coming)\b ?", "", plain).strip()
    if number_text:
        number = _ORDINALS.get(number_text) or _CARDINALS[number_text]
        return _numbered(number, month, weekday, today)
    if weekday is None:
        return None
    if "next" in words:
        return _later(today, 7 - today.weekday() + weekday)
    return _later(today, (weekday - today.weekday() - 1) % 7 + 1)


def _iso(word: str) -> date | None:
    try:
        return date.fromisoformat(word)
    except ValueError:
        return None


def _later(today: date, days: int) -> date | None:
    try:
        return today + timedelta(days=days)
    except OverflowError:
        return None


def _numbered(number: int, month: int | None, weekday: int | None, today: date) -> date | None:
    """The next day with this number, on that weekday if one of the coming ones is."""
    coming: list[date] = []
    for ahead in range(_MONTHS_AHEAD):
        years, index = divmod(today.month - 1 + ahead, 12)
        try:
            day = date(today.year + years, index + 1, number)
        except ValueError:
            continue
        if day >= today and month in (None, day.month):
            coming.append(day)
    fitting = [day for day in coming[:3] if day.weekday() == weekday]
    return next(iter(fitting + coming), None)


def time_meant(words: Sequence[str]) -> time | None:
    """The time that the words name. Without "a m" or the like, office hours are meant."""
    text = " ".join(words)
    if text in ("noon", "midday", "midnight"):
        return time(0 if text == "midnight" else 12)
    text, half = _half_day(text)
    text = re.sub(r"^a quarter", "quarter", text).replace(" minutes", "")
    relative = re.match(r"(.+) (past|to) (.+)\Z", text)
    if relative:
        minutes = {"half": 30, "quarter": 15}.get(relative[1]) or _CARDINALS[relative[1]]
        hour = _hour(_CARDINALS[relative[3]], half)
        return _clock(hour * 60 + (minutes if relative[2] == "past" else -minutes))
    if text.startswith("half "):
        return _clock(_hour(_CARDINALS[text[5:]], half) * 60 + 30)
    for split in range(len(text.split()), 0, -1):
        parts = text.split()
        hour_text, rest = " ".join(parts[:split]), " ".join(parts[split:])
        minutes = _minutes(rest)
        if hour_text in _CARDINALS and minutes is not None and _CARDINALS[hour_text] < 24:
            return _clock(_hour(_CARDINALS[hour_text], half) * 60 + minutes)
    return None


def _half_day(text: str) -> tuple[str, str]:
    for ending in (
        "a m",
        "p m",
        "in the morning",
        "in the afternoon",
        "in the evening",
        "at night",
    ):
        if text.endswith(f" {ending}"):
            return text[: -len(ending) - 1], ending
    return text, ""


def _minutes(text: str) -> int | None:
    if text in ("", "oclock"):
        return 0
    return _CARDINALS.get(text.removeprefix("oh "))


def _hour(hour: int, half: str) -> int:
    if half in ("a m", "in the morning"):
        return 0 if hour == 12 else hour
    if half in ("p m", "in the afternoon", "in the evening"):
        return hour + 12 if hour < 12 else hour
    if half == "at night":
        return {12: 0}.get(hour, hour + 12 if 6 <= hour < 12 else hour)
    return hour + 12 if 1 <= hour <= 6 else hour


def _clock(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)
