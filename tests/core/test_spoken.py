"""Dates, times, numbers and lists as they are said."""

from __future__ import annotations

from datetime import date, time

import pytest

from parley.core.spoken import (
    spoken_date,
    spoken_list,
    spoken_number,
    spoken_ordinal,
    spoken_time,
)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (time(9, 0), "nine o'clock"),
        (time(9, 5), "nine oh five"),
        (time(9, 15), "quarter past nine"),
        (time(9, 30), "half past nine"),
        (time(9, 45), "quarter to ten"),
        (time(10, 20), "ten twenty"),
        (time(12, 0), "noon"),
        (time(12, 45), "quarter to one"),
        (time(15, 42), "three forty two"),
        (time(0, 0), "midnight"),
        (time(6, 30), "half past six in the morning"),
        (time(20, 0), "eight o'clock in the evening"),
    ],
)
def test_a_time_is_said_as_people_say_it(at, words):
    assert spoken_time(at) == words


def test_a_date_has_its_weekday_and_ordinal():
    assert spoken_date(date(2026, 3, 3)) == "Tuesday, March 3rd"
    assert [spoken_ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "31st",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (42, "forty two"),
        (305, "three hundred five"),
        (2026, "two thousand twenty six"),
        (12345, "one two three four five"),
        (-7, "minus seven"),
    ],
)
def test_a_number_is_said_in_words(number, words):
    assert spoken_number(number) == words


def test_a_list_ends_with_and():
    assert spoken_list([]) == ""
    assert spoken_list(["nine"]) == "nine"
    assert spoken_list(["nine", "ten"]) == "nine and ten"
    assert spoken_list(["nine", "ten", "eleven"], "or") == "nine, ten or eleven"
