"""The appointment book: nobody gets a time that is taken, and everybody is told what is free."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.core.errors import ToolFailed
from parley.tools.catalog import ToolCatalog
from tests.tools.actions import Belt, FakeActions

NOW = datetime(2026, 3, 2, 10, 7)
TUESDAY, SATURDAY = "2026-03-03", "2026-03-07"


@pytest.fixture
def belt():
    return Belt(ToolCatalog(clock=lambda zone: NOW).tools_for(["calendar"]))


async def failure_of(belt, tool, /, **arguments):
    with pytest.raises(ToolFailed) as failure:
        await belt.use(tool, **arguments)
    return str(failure.value)


async def book(belt, name="Anna", day=TUESDAY, time="09:30"):
    return await belt.use("book_appointment", name=name, day=day, time=time)


async def book_as(id, belt, name="Anna", time="09:30"):
    return await belt.use_as(id, "book_appointment", name=name, day=TUESDAY, time=time)


# ── free times ───────────────────────────────────────────────────────────────────────────────


async def test_a_day_has_a_time_every_half_hour_from_nine_to_five(belt):
    free = await belt.use("free_times", day=TUESDAY)

    assert (free["weekday"], free["times"][0], free["times"][-1]) == ("Tuesday", "09:00", "16:30")
    assert len(free["times"]) == 16
    assert free["summary"] == "from nine o'clock to half past four"


async def test_times_of_today_that_have_passed_are_not_free(belt):
    free = await belt.use("free_times", day="2026-03-02")

    assert free["times"][0] == "10:30"


async def test_booked_times_are_left_out_and_runs_are_told_as_runs(belt):
    for time in ("09:30", "10:00", "12:00"):
        await book(belt, time=time)

    free = await belt.use("free_times", day=TUESDAY)

    assert free["summary"] == (
        "at nine o'clock, from half past ten to half past eleven and "
        "from half past twelve to half past four"
    )


async def test_a_full_day_names_the_next_one_that_is_free(belt):
    for time in (await belt.use("free_times", day="2026-03-06"))["times"]:
        await book(belt, name=f"Guest {time}", day="2026-03-06", time=time)

    free = await belt.use("free_times", day="2026-03-06")
    refusal = await failure_of(belt, "book_appointment", name="Eva", day="2026-03-06", time="09:00")

    assert (free["times"], free["next_day"]) == ([], "2026-03-09")
    assert refusal == (
        "Friday, March 6th at nine o'clock is already taken. That day is full; the next free "
        "time is Monday, March 9th at nine o'clock."
    )


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (SATURDAY, "We are closed on Saturday. We are open Monday to Friday, from nine o'clock to"),
        ("2026-03-01", "Sunday, March 1st is in the past."),
        ("2028-01-03", "That is too far ahead"),
        ("9999-12-31", "That is too far ahead"),
    ],
)
async def test_a_day_that_cannot_be_had_is_refused(belt, day, message):
    assert message in await failure_of(belt, "free_times", day=day)
    assert message in await failure_of(belt, "book_appointment", name="Anna", day=day, time="10:00")


# ── booking ──────────────────────────────────────────────────────────────────────────────────


async def test_what_is_booked_is_listed(belt):
    booked = await book(belt, name="  Anna  Smith ")

    listed = await belt.use("list_appointments", name="anna smith")

    assert booked == {
        "status": "booked",
        "name": "Anna Smith",
        "day": TUESDAY,
        "weekday": "Tuesday",
        "time": "09:30",
        "summary": "Tuesday, March 3rd at half past nine",
    }
    assert [each["time"] for each in listed["appointments"]] == ["09:30"]
    assert listed["summary"] == "Tuesday, March 3rd at half past nine"


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("09:30", "is already taken. The nearest free times are nine o'clock, ten o'clock and"),
        ("10:10", "Appointments begin every 30 minutes. The nearest free times are ten o'clock"),
        ("08:00", "We are open Monday to Friday, from nine o'clock to five o'clock. The nearest"),
        ("17:00", "We are open"),
    ],
)
async def test_a_time_that_cannot_be_had_is_refused_with_the_nearest_free_ones(belt, time, message):
    await book(belt, name="Ben")

    refusal = await failure_of(belt, "book_appointment", name="Anna", day=TUESDAY, time=time)

    assert message in refusal


async def test_a_time_that_has_passed_is_refused(belt):
    refusal = await failure_of(
        belt, "book_appointment", name="Anna", day="2026-03-02", time="09:30"
    )

    assert "has already passed" in refusal


async def test_booking_ones_own_time_again_changes_nothing(belt):
    first = await book(belt)

    again = await book(belt, name="ANNA")

    assert again == first
    assert len((await belt.use("list_appointments", name="Anna"))["appointments"]) == 1


async def test_the_same_tool_call_is_carried_out_once(belt):
    first = await book_as("same", belt)
    await belt.use("cancel_appointment", name="Anna")

    again = await book_as("same", belt)

    assert again == first
    assert (await belt.use("list_appointments", name="Anna"))["appointments"] == []


async def test_the_same_id_in_another_call_is_another_tool_call():
    tools = ToolCatalog(clock=lambda zone: NOW).tools_for(["calendar"])
    one, other = (Belt(tools, FakeActions(call_id)) for call_id in ("call_1", "call_2"))

    await book_as("same", one)
    second = await book_as("same", other, name="Ben", time="11:00")

    assert second["name"] == "Ben"


async def test_the_same_id_with_other_arguments_is_another_tool_call(belt):
    await book_as("0", belt)

    second = await book_as("0", belt, time="11:00")

    assert second["time"] == "11:00"


async def test_a_refused_tool_call_may_be_tried_again(belt):
    await book(belt, name="Ben")
    with pytest.raises(ToolFailed):
        await book_as("same", belt)
    await belt.use("cancel_appointment", name="Ben")

    assert (await book_as("same", belt))["name"] == "Anna"


async def test_of_many_callers_at_once_one_gets_the_time(belt):
    results = await asyncio.gather(
        *(book(belt, name=f"Caller {number}") for number in range(20)), return_exceptions=True
    )

    assert sum(not isinstance(result, ToolFailed) for result in results) == 1


async def test_agents_with_the_same_hours_share_the_book():
    catalog = ToolCatalog(clock=lambda zone: NOW)
    one = Belt(catalog.tools_for(["calendar"]))
    other = Belt(catalog.tools_for(["calendar"]), FakeActions("call_2"))

    await book(one)

    assert "already taken" in await failure_of(
        other, "book_appointment", name="Ben", day=TUESDAY, time="09:30"
    )


# ── moving and cancelling ────────────────────────────────────────────────────────────────────


async def test_an_appointment_is_moved_and_its_old_time_is_free(belt):
    await book(belt)

    moved = await belt.use("move_appointment", name="Anna", new_day="2026-03-06", new_time="15:00")

    assert (moved["status"], moved["summary"]) == ("moved", "Friday, March 6th at three o'clock")
    assert "09:30" in (await belt.use("free_times", day=TUESDAY))["times"]


async def test_a_move_to_a_taken_time_leaves_the_appointment_where_it_is(belt):
    await book(belt)
    await book(belt, name="Ben", time="11:00")

    refusal = await failure_of(
        belt, "move_appointment", name="Anna", new_day=TUESDAY, new_time="11:00"
    )

    assert "already taken" in refusal
    assert (await belt.use("list_appointments", name="Anna"))["appointments"][0]["time"] == "09:30"


async def test_among_several_the_day_and_the_time_say_which(belt):
    for time in ("09:30", "11:00"):
        await book(belt, time=time)
    await book(belt, day="2026-03-06", time="15:00")

    unclear = await failure_of(belt, "cancel_appointment", name="Anna", day=TUESDAY)
    none = await failure_of(belt, "cancel_appointment", name="Anna", day="2026-03-04")
    cancelled = await belt.use("cancel_appointment", name="Anna", day=TUESDAY, time="11:00")

    assert unclear.startswith("Anna has 3 appointments: Tuesday, March 3rd at half past nine,")
    assert unclear.endswith("Which is meant?")
    assert none.startswith("Anna has no such appointment. There is Tuesday, March 3rd")
    assert (cancelled["status"], cancelled["time"]) == ("cancelled", "11:00")


async def test_whoever_has_no_appointment_is_told_so(belt):
    assert await failure_of(belt, "cancel_appointment", name="Eva") == (
        "There is no appointment for Eva."
    )


# ── rubbish ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"day": TUESDAY, "time": "09:30"}, "name is missing: it must be text, not empty."),
        ({"name": " ", "day": TUESDAY, "time": "09:30"}, "name is missing"),
        ({"name": 7, "day": TUESDAY, "time": "09:30"}, "name is missing: it must be text, not 7."),
        ({"name": "A" * 81, "day": TUESDAY, "time": "09:30"}, "name is too long"),
        ({"name": "Anna", "day": "tomorrow", "time": "09:30"},
         "day must be a date such as 2026-03-03, not 'tomorrow'."),
        ({"name": "Anna", "day": "2026-02-31", "time": "09:30"}, "day must be a date"),
        ({"name": "Anna", "day": None, "time": "09:30"}, "day must be a date"),
        ({"name": "Anna", "day": TUESDAY, "time": "half past nine"},
         "time must be a time such as 09:30, not 'half past nine'."),
        ({"name": "Anna", "day": TUESDAY, "time": "25:00"}, "time must be a time"),
        ({"name": "Anna", "day": TUESDAY, "time": 930}, "time must be a time"),
        ({"name": "Anna", "date": TUESDAY, "time": "09:30"},
         "There is no argument 'date'; it takes name, day and time."),
        ({"name": "Anna", "day": ["x" * 200], "time": "09:30"}, "…"),
    ],
)  # fmt: skip
async def test_rubbish_is_refused_with_what_is_wrong(belt, arguments, message):
    assert message in await failure_of(belt, "book_appointment", **arguments)


rubbish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from([TUESDAY, "09:30", "Anna", "9:30", "09:30:00", "2026-W10-2", "20260303"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(
        ["free_times", "book_appointment", "move_appointment", "cancel_appointment",
         "list_appointments"]
    ),
    arguments=st.dictionaries(
        st.sampled_from(["name", "day", "time", "new_day", "new_time", "x"]), rubbish
    ),
)  # fmt: skip
def test_whatever_a_model_sends_there_is_an_answer_or_a_sentence(name, arguments):
    belt = Belt(ToolCatalog(clock=lambda zone: NOW).tools_for(["calendar"]))

    try:
        answer = asyncio.run(belt.use(name, **arguments))
    except ToolFailed as failure:
        answer = None
        assert str(failure)[-1] in ".?"

    assert answer is None or isinstance(answer, dict)


@settings(max_examples=60, deadline=None)
@given(
    wanted=st.lists(
        st.tuples(
            st.sampled_from(["Anna", "Ben", "Eva"]),
            st.integers(0, 9),
            st.integers(16, 36),
        ),
        max_size=12,
    )
)
def test_no_time_is_ever_given_to_two_people(wanted):
    belt = Belt(ToolCatalog(clock=lambda zone: NOW).tools_for(["calendar"]))
    given_times = {}

    for name, days_ahead, half_hours in wanted:
        day = (NOW.date() + timedelta(days=days_ahead)).isoformat()
        time = f"{half_hours // 2:02}:{half_hours % 2 * 30:02}"
        try:
            booked = asyncio.run(book(belt, name=name, day=day, time=time))
        except ToolFailed:
            continue
        assert given_times.setdefault((booked["day"], booked["time"]), name) == name


async def test_another_tenants_calls_have_another_book():
    catalog = ToolCatalog(clock=lambda zone: NOW)
    acme = Belt(catalog.tools_for(["calendar"], tenant="acme"))
    bee = Belt(catalog.tools_for(["calendar"], tenant="bee"))

    await book(acme)
    booked = await book(bee)
    await bee.use("cancel_appointment", name="Anna")
    kept = await acme.use("list_appointments", name="Anna")

    assert booked["status"] == "booked"
    assert len(kept["appointments"]) == 1
