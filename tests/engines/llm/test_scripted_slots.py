"""What callers tell: days, times, numbers, names, choices, yes and no."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.core.spoken import spoken_date, spoken_number, spoken_time
from parley.engines.llm.scripted.pattern import parse_pattern
from parley.engines.llm.scripted.slots import Choice, Day, Number, Person, TimeOfDay, YesNo
from parley.engines.llm.scripted.words import words_of

MONDAY = datetime(2026, 3, 2, 10, 7)
DAY, TIME, NUMBER, YES_NO = Day(), TimeOfDay(), Number(), YesNo()


def value_of(type_, text, now=MONDAY):
    words = words_of(text)
    if len(words) not in type_.ends(words, 0):
        return "not understood"
    return type_.value(words, now)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-03-02"),
        ("tomorrow", "2026-03-03"),
        ("the day after tomorrow", "2026-03-04"),
        ("tuesday", "2026-03-03"),
        ("monday", "2026-03-09"),
        ("this friday", "2026-03-06"),
        ("next friday", "2026-03-13"),
        ("next monday", "2026-03-09"),
        ("the fifth", "2026-03-05"),
        ("the first", "2026-04-01"),
        ("the fifth of march", "2026-03-05"),
        ("march 1st", "2027-03-01"),
        ("March 5", "2026-03-05"),
        ("december the twenty fifth", "2026-12-25"),
        ("tuesday the third", "2026-03-03"),
        ("thursday the second", "2026-04-02"),
        ("the thirty first", "2026-03-31"),
        ("february the thirty first", None),
        ("february 29th", None),
        ("in three days", "2026-03-05"),
        ("in a week", "2026-03-09"),
        ("in two weeks", "2026-03-16"),
        ("2026-07-01", "2026-07-01"),
        ("2026-02-31", None),
        ("someday", "not understood"),
    ],
)
def test_a_day_is_found_from_today_on(text, day):
    assert value_of(DAY, text) == day


def test_a_day_that_exists_in_a_leap_year_is_found_when_one_comes():
    assert value_of(DAY, "february 29th", datetime(2027, 6, 1)) == "2028-02-29"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("nine", "09:00"),
        ("three", "15:00"),
        ("twelve", "12:00"),
        ("half past nine", "09:30"),
        ("half nine", "09:30"),
        ("quarter to four", "15:45"),
        ("a quarter past ten", "10:15"),
        ("quarter to one", "12:45"),
        ("twenty to three", "14:40"),
        ("five minutes past eight", "08:05"),
        ("ten thirty a m", "10:30"),
        ("three o'clock", "15:00"),
        ("three o'clock in the morning", "03:00"),
        ("seven in the evening", "19:00"),
        ("ten at night", "22:00"),
        ("twelve p m", "12:00"),
        ("twelve a m", "00:00"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("9:30", "09:30"),
        ("2pm", "14:00"),
        ("14:05", "14:05"),
        ("09:00", "09:00"),
        ("ten oh five", "10:05"),
        ("fourteen thirty", "14:30"),
        ("twenty five thirty", "not understood"),
        ("soon", "not understood"),
    ],
)
def test_a_time_is_found_with_office_hours_in_mind(text, at):
    assert value_of(TIME, text) == at


@given(st.integers(7, 17), st.integers(0, 59))
def test_a_time_that_the_script_says_is_understood_when_repeated(hour, minute):
    at = time(hour, minute)

    assert value_of(TIME, spoken_time(at)) == at.isoformat("minutes")


@given(st.dates(date(2026, 3, 3), date(2027, 3, 1)))
def test_a_date_that_the_script_says_is_understood_when_repeated(day):
    assert value_of(DAY, spoken_date(day)) == day.isoformat()


@given(st.integers(1, 9999))
def test_a_number_in_words_or_digits_is_the_number(number):
    assert value_of(NUMBER, spoken_number(number)) == str(number)
    assert value_of(NUMBER, str(number)) == str(number)
    assert NUMBER.argument(str(number)) == number


def test_a_bare_number_is_a_time_only_where_one_is_expected():
    first_one = words_of("the first one please")
    at_ten = words_of("i come at ten")
    for_ten = words_of("a table for ten people")

    assert not TIME.stands_alone(first_one, 2, 3, asked=True)
    assert TIME.stands_alone(at_ten, 3, 4, asked=False)
    assert not TIME.stands_alone(for_ten, 3, 4, asked=False)
    assert TIME.stands_alone(words_of("um ten please"), 1, 2, asked=False)


def test_a_choice_knows_every_way_of_saying_it():
    colour = Choice({
        "red": [parse_pattern("(red | crimson)")], "blue": [parse_pattern("[dark] blue")],
    })  # fmt: skip

    assert value_of(colour, "crimson") == "red"
    assert value_of(colour, "dark blue") == "blue"
    assert value_of(colour, "green") == "not understood"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("xenia okonkwo", "Xenia Okonkwo"),
        ("my name is xenia", "Xenia"),
        ("um it's xenia please", "Xenia"),
        ("no", None),
        ("i do not know", None),
        ("what did you say", None),
        ("forty two", None),
        ("a b c d e", None),
        ("", None),
    ],
)
def test_a_name_that_is_on_no_list_can_be_guessed(text, name):
    person = Person(["Anna", "Mary Ann"])

    assert person.guess(words_of(text), unasked=False) == name


def test_a_listed_name_is_spelled_as_in_the_list():
    person = Person(["Anna", "Mary Ann", "O'Brien"])

    assert value_of(person, "mary ann") == "Mary Ann"
    assert value_of(person, "o'brien") == "O'Brien"


def test_a_name_that_nobody_asked_for_counts_only_as_a_correction():
    person = Person(["Anna"])

    assert person.guess(words_of("xenia"), unasked=True) is None
    assert person.guess(words_of("no, my name is xenia"), unasked=True) == "Xenia"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("yes", "yes"),
        ("yes please", "yes"),
        ("okay", "yes"),
        ("that's right", "yes"),
        ("sounds good", "yes"),
        ("no", "no"),
        ("no that's wrong", "no"),
        ("don't do that", "no"),
    ],
)
def test_yes_and_no_have_many_forms(text, verdict):
    assert value_of(YES_NO, text) == verdict
