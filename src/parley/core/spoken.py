"""How dates, times and lists are said aloud in English."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
SMALL_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_FIRST_OFFICE_HOUR, _LAST_OFFICE_HOUR = 7, 18


def spoken_number(number: int) -> str:
    """0 to 9999 in words: ``42`` → ``forty two``; beyond that, digit by digit."""
    if not 0 <= number < 10_000:
        sign = "minus " if number < 0 else ""
        return sign + " ".join(SMALL_NUMBERS[int(digit)] for digit in str(abs(number)))
    if number < len(SMALL_NUMBERS):
        return SMALL_NUMBERS[number]
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {spoken_number(number % size)}" if number % size else ""
            return f"{spoken_number(number // size)} {name}{rest}"
    ones = f" {SMALL_NUMBERS[number % 10]}" if number % 10 else ""
    return TENS[number // 10] + ones


def spoken_ordinal(number: int) -> str:
    """``3`` → ``3rd``: voices read it well, and it is short on a page."""
    ending = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{ending}"


def spoken_date(day: date) -> str:
    """``Tuesday, March 3rd``."""
    return f"{WEEKDAYS[day.weekday()]}, {MONTHS[day.month - 1]} {spoken_ordinal(day.day)}"


def spoken_time(at: time) -> str:
    """``half past nine``, ``nine o'clock``, ``quarter to four``, ``ten twenty``.

    Outside office hours the part of the day is said too.
    """
    if at.minute == 0 and at.hour in (0, 12):
        return "noon" if at.hour == 12 else "midnight"
    words = _clock_words(at.hour, at.minute)
    if _FIRST_OFFICE_HOUR <= at.hour <= _LAST_OFFICE_HOUR:
        return words
    return f"{words} {'in the morning' if at.hour < 12 else 'in the evening'}"


def _clock_words(hour: int, minute: int) -> str:
    this, following = (SMALL_NUMBERS[(hour + ahead - 1) % 12 + 1] for ahead in (0, 1))
    if minute == 0:
        return f"{this} o'clock"
    if minute == 15:
        return f"quarter past {this}"
    if minute == 30:
        return f"half past {this}"
    if minute == 45:
        return f"quarter to {following}"
    return (
        f"{this} oh {SMALL_NUMBERS[minute]}" if minute < 10 else f"{this} {spoken_number(minute)}"
    )


def spoken_list(items: Sequence[str], word: str = "and") -> str:
    """``nine, half past nine and ten``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"
