"""When appointments can be, by the shipped workflows: time zones, the days on which clocks change,
hours of every kind. Played without n8n."""

from __future__ import annotations

from typing import Any

from tests.deploy.n8n_play import DAY, Play, book, free, move, played

ALL_DAY = {"opens": "00:00", "closes": "24:00", "days": [1, 2, 3, 4, 5, 6, 7]}
SPRING, AUTUMN = "2027-03-28", "2027-10-31"
TODAY = "2026-11-24"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"opens": "18:00", "closes": "02:00"}, "closes"),
    ({"opens": "9 am"}, "opens"),
    ({"closes": "5pm"}, "closes"),
    ({"slot_minutes": 600}, "slot_minutes"),
    ({"slot_minutes": 0}, "slot_minutes"),
    ({"slot_minutes": "half an hour"}, "slot_minutes"),
    ({"time_zone": "Europe/Lodon"}, "time_zone"),
    ({"days": []}, "days"),
    ({"days": ["Monday"]}, "days"),
]


def test_the_hour_that_is_left_out_in_spring_is_not_offered() -> None:
    offers, books = played(
        Play([free(SPRING)], practice=ALL_DAY),
        Play([book("Ada", "01:30", SPRING)], practice=ALL_DAY),
    )

    assert len(offers.times) == len(set(offers.times)) == 46
    assert {"01:00", "01:30"}.isdisjoint(offers.times)
    assert books.error[0] == "bad_time"


def test_the_hour_that_comes_twice_in_autumn_is_offered_once() -> None:
    offers, books = played(
        Play([free(AUTUMN)], practice=ALL_DAY),
        Play([book("Ada", "01:30", AUTUMN), book("Bob", "01:30", AUTUMN)], practice=ALL_DAY),
    )

    assert len(offers.times) == len(set(offers.times)) == 48
    assert sorted(books.only.told) == ["booked 01:30", "slot_taken"]


def test_a_time_is_the_practice_s_own_on_the_days_when_clocks_change() -> None:
    spring, autumn = played(
        *(Play([book("Ada", "10:00", day)], practice=ALL_DAY) for day in (SPRING, AUTUMN))
    )

    assert spring.only.kept == [f"Ada {SPRING}T09:00"]
    assert autumn.only.kept == [f"Ada {AUTUMN}T10:00"]


def test_a_caller_s_own_time_may_be_on_another_day() -> None:
    tokyo = book("Ada", "01:00", "2026-12-17", time_zone="Asia/Tokyo")

    assert Play([tokyo]).only().kept == [f"Ada {DAY}T16:00"]


def test_a_time_zone_that_is_none_is_named_and_not_the_time() -> None:
    wishes = (make("Ada", "10:00", time_zone="Paris") for make in (book, move))

    for each in played(*(Play([wish]) for wish in wishes)):
        code, message = each.error
        assert code == "bad_time_zone"
        assert "Paris" in message and "10:00" not in message


def test_a_length_that_does_not_divide_the_hours_leaves_the_end_free() -> None:
    practice = {"slot_minutes": 45}

    offers, late = played(
        Play([free()], practice=practice), Play([book("Ada", "16:30")], practice=practice)
    )

    assert (len(offers.times), offers.times[0], offers.times[-1]) == (10, "09:00", "15:45")
    assert late.error[0] == "not_offered"
    assert "quarter to four" in late.error[1]


def test_a_practice_may_be_open_until_midnight() -> None:
    for closes in ("24:00", "00:00"):
        practice = {"opens": "18:00", "closes": closes}

        offers, books = played(
            Play([free()], practice=practice),
            Play([book("Ada", "23:30"), book("Bob", "23:30")], practice=practice),
        )

        assert offers.times[-1] == "23:30"
        assert sorted(books.only.told) == ["booked 23:30", "slot_taken"]


def test_a_practice_that_is_set_up_wrongly_says_what_is_wrong() -> None:
    wishes = (free(), book("Ada", "10:00"), move("Ada", "10:00"))
    tried = [(practice, word, wish) for practice, word in WRONG for wish in wishes]

    came = played(*(Play([wish], practice=practice) for practice, _, wish in tried))

    for (practice, word, _), each in zip(tried, came, strict=True):
        assert each.error[0] == "not_set_up", practice
        assert word in each.error[1]


def test_what_people_write_all_the_same_is_understood() -> None:
    practice = {"opens": "9:00", "days": ["1", "2", "3"], "slot_minutes": "60", "closed": None}

    (offers,) = played(Play([free()], practice=practice))

    assert len(offers.times) == 8


def test_today_only_what_is_to_come_is_offered() -> None:
    now = f"{TODAY}T15:45:00Z"

    offers, over, yesterday = played(
        Play([free(TODAY)], now=now),
        Play([book("Ada", "15:30", TODAY)], now=now),
        Play([free("2026-11-23")], now=now),
    )

    assert offers.times == ["16:00", "16:30"]
    assert (over.error[0], yesterday.error[0]) == ("past", "past")


def test_today_is_the_practice_s_today() -> None:
    # In Auckland it is the 25th, eleven in the morning.
    now, practice = f"{TODAY}T22:00:00Z", {"time_zone": "Pacific/Auckland"}

    there, here = played(
        *(Play([free(day)], practice=practice, now=now) for day in ("2026-11-25", TODAY))
    )

    assert there.times[0] == "11:30"
    assert here.error[0] == "past"


def test_on_a_closed_day_nothing_is_offered_or_booked() -> None:
    for day in ("2026-12-19", "2026-12-25"):
        offers, books = played(Play([free(day)]), Play([book("Ada", "10:00", day)]))

        assert (offers.error[0], books.error[0]) == ("closed", "closed")


def test_an_appointment_keeps_its_length_when_the_practice_changes_it() -> None:
    came = Play(
        [book("Bob", "10:30")],
        before=[book("Ada", "10:00")],
        practice_before={"slot_minutes": 60},
        practice={"slot_minutes": 30},
        after=[free()],
    ).only()

    assert came.told == ["slot_taken"]
    assert "10:30" not in came.after[0].split()
    assert "11:00" in came.after[0].split()
