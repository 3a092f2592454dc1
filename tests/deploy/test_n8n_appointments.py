"""Booking, moving and cancelling at once, by the shipped workflows: in every order that chance
brings nobody has a time twice, and what callers are told is what is kept. Played without n8n."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from tests.deploy.n8n_play import DAY, Came, Play, Request, book, cancel, listed, move

ROUNDS = 25
STORES = ["", "templates/caldav"]
every_store = pytest.mark.parametrize("folder", STORES, ids=["table", "caldav"])


def at(name: str, *hours: str) -> list[str]:
    return [f"{name} {DAY}T{hour}" for hour in hours]


def no_time_twice(came: Sequence[Came]) -> bool:
    times = [Counter(kept.split()[1] for kept in each.kept) for each in came]
    return all(count == 1 for counted in times for count in counted.values())


@every_store
def test_of_two_that_want_the_same_time_by_booking_and_by_moving_one_gets_it(folder: str) -> None:
    play = Play(
        [book("Bob", "11:00"), move("Ada", "11:00")],
        before=[book("Ada", "10:00")],
        rounds=ROUNDS,
        folder=folder,
    )

    for came in play.came():
        if came.told == ["booked 11:00", "slot_taken"]:
            assert came.kept == [*at("Ada", "10:00"), *at("Bob", "11:00")]
        elif came.told == ["slot_taken", "moved 11:00"]:
            assert came.kept == at("Ada", "11:00")
        else:
            assert came.told == ["slot_taken", "slot_taken"]
            assert came.kept == at("Ada", "10:00")


@every_store
def test_an_appointment_that_is_moved_twice_at_once_stays_one(folder: str) -> None:
    play = Play(
        [move("Ada", "11:00"), move("Ada", "12:00")],
        before=[book("Ada", "10:00")],
        after=[listed("Ada")],
        rounds=ROUNDS,
        folder=folder,
    )

    for came in play.came():
        assert len(came.kept) == 1, came
        assert came.after == ["1 listed"]
        hour = came.kept[0][-5:]
        assert f"moved {hour}" in came.told


@every_store
def test_who_cancels_what_is_being_moved_is_told_the_truth(folder: str) -> None:
    play = Play(
        [move("Ada", "11:00"), cancel("Ada")],
        before=[book("Ada", "10:00")],
        after=[listed("Ada")],
        rounds=ROUNDS,
        folder=folder,
    )

    for came in play.came():
        moved, cancelled = came.told
        if cancelled.startswith("cancelled"):
            assert came.kept == [], came
            assert came.after == ["0 listed"]
        else:
            assert moved == "moved 11:00", came
            assert came.kept == at("Ada", "11:00")


@every_store
def test_what_is_cancelled_twice_at_once_is_cancelled(folder: str) -> None:
    play = Play(
        [cancel("Ada", "one"), cancel("Ada", "two")],
        before=[book("Ada", "10:00")],
        rounds=ROUNDS,
        folder=folder,
    )

    for came in play.came():
        assert came.kept == []
        assert "cancelled 10:00" in came.told
        assert set(came.told) <= {"cancelled 10:00", "not_found", "changed_since"}


@every_store
def test_appointments_that_change_places_at_once_are_not_lost(folder: str) -> None:
    play = Play(
        [move("Ada", "11:00"), move("Bob", "10:00"), book("Cid", "10:00")],
        before=[book("Ada", "10:00"), book("Bob", "11:00")],
        rounds=ROUNDS,
        folder=folder,
    )
    came = play.came()

    assert no_time_twice(came)
    for each in came:
        names = Counter(kept.split()[0] for kept in each.kept)
        assert names["Ada"] == names["Bob"] == 1
        assert names["Cid"] == int(each.told[2] == "booked 10:00")


def test_a_claim_that_another_has_not_kept_yet_is_no_booking() -> None:
    play = Play(
        [book("Ada", "10:00", key="one"), book("Ada", "10:00", key="two"), book("Bob", "10:00")],
        rounds=ROUNDS,
    )

    for came in play.came():
        told = {name for name, word in zip(["Ada", "Ada", "Bob"], came.told, strict=True)
                if word == "booked 10:00"}  # fmt: skip
        assert {kept.split()[0] for kept in came.kept} == told, came
        assert len(came.kept) <= 1


@pytest.mark.parametrize(
    "requests",
    [
        [move("Ada", "11:00"), move("Ada", "12:00"), cancel("Ada")],
        [move("Ada", "11:00"), book("Bob", "11:00"), book("Ada", "11:00", key="again")],
    ],
)
def test_runs_that_are_killed_on_the_way_leave_no_time_to_two(requests: list[Request]) -> None:
    play = Play(
        requests,
        before=[book("Ada", "10:00")],
        after=[requests[0], requests[0], listed("Ada")],
        rounds=ROUNDS,
        kills=True,
    )

    for came in play.came():
        assert no_time_twice([came]), came
        for request, told in zip(requests, came.told, strict=True):
            if told.startswith("cancelled") and request[0] == "cancel_appointment":
                assert came.after[-1] == "0 listed", came


def test_what_was_moved_by_a_run_that_was_killed_can_be_cancelled_for_good() -> None:
    play = Play(
        [move("Ada", "11:00")],
        before=[book("Ada", "10:00")],
        after=[cancel("Ada"), listed("Ada")],
        rounds=ROUNDS,
        kills=True,
    )

    assert {came.after[-1] for came in play.came()} == {"0 listed"}


@pytest.mark.parametrize("request_", [cancel("Ada"), move("Ada", "11:00")])
def test_a_calendar_that_lets_nothing_be_deleted_is_not_told_as_done(request_: Request) -> None:
    came = Play(
        [request_],
        before=[book("Ada", "10:00")],
        refuses=["DELETE"],
        folder="templates/caldav",
    ).only()

    assert came.told == ["not_changed"]
    assert at("Ada", "10:00")[0] in came.kept


def test_a_calendar_that_takes_no_events_is_not_told_as_a_taken_time() -> None:
    came = Play([book("Ada", "10:00")], refuses=["PUT"], folder="templates/caldav").only()

    assert came.told == ["not_written"]
