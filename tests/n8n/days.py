"""Days on which the practice of the workflows is open, a different one for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

CLOSED = {date(2026, 12, 25), date(2027, 1, 1)}


def open_days() -> Iterator[str]:
    # The days before are those that spoken callers mean.
    day = date.today() + timedelta(days=21)
    while True:
        if day.weekday() < 5 and day not in CLOSED:
            yield day.isoformat()
        day += timedelta(days=1)


_days = open_days()


def next_day() -> str:
    return next(_days)


def next_weekend() -> str:
    day = date.today() + timedelta(days=7)
    while day.weekday() < 5:
        day += timedelta(days=1)
    return day.isoformat()
