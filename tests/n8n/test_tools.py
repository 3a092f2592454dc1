"""The appointment tools, called as Parley calls them: by their signed triggers."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import Counter
from typing import Any

import pytest

from parley.tools.webhook.signing import HEADER, sign
from tests.n8n.days import next_day, next_weekend
from tests.n8n.instance import N8n, envelope, hook_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def booked(n8n: N8n, day: str) -> list[dict[str, Any]]:
    return [row for row in await n8n.rows() if row["day"] == day and row["state"] == "booked"]


async def test_an_appointment_is_found_booked_refused_to_others_moved_and_cancelled(
    n8n: N8n,
) -> None:
    day = next_day()

    free = (await n8n.call("free_times", day=day)).result
    book = (await n8n.call("book_appointment", name="Ada", day=day, time="10:00")).result
    other = await n8n.call("book_appointment", name="Bob", day=day, time="10:00")
    move = await n8n.call("move_appointment", name="ada", new_day=day, new_time="14:00")
    listed = (await n8n.call("list_appointments", name="ADA")).result
    after = (await n8n.call("free_times", day=day)).result
    cancel = (await n8n.call("cancel_appointment", name="Ada")).result
    gone = await n8n.call("cancel_appointment", name="Ada")

    assert len(free["times"]) == 16 and "10:00" in free["times"]
    assert (book["status"], book["time"], book["time_zone"]) == ("booked", "10:00", "Europe/London")
    assert other.error == "slot_taken"
    assert "nearest free times" in other.body["error"]["message"]
    assert (move.result["status"], move.result["time"]) == ("moved", "14:00")
    assert [each["time"] for each in listed["appointments"]] == ["14:00"]
    assert "10:00" in after["times"] and "14:00" not in after["times"]
    assert cancel["status"] == "cancelled"
    assert gone.error == "not_found"
    assert await booked(n8n, day) == []


async def test_of_ten_callers_at_once_one_gets_the_time(n8n: N8n) -> None:
    day = next_day()

    answers = await asyncio.gather(
        *(n8n.call("book_appointment", name=f"P{n}", day=day, time="10:00") for n in range(10))
    )

    assert Counter(answer.body["ok"] for answer in answers) == {True: 1, False: 9}
    (won,) = [answer.result["name"] for answer in answers if answer.body["ok"]]
    assert [row["name"] for row in await booked(n8n, day)] == [won]


async def test_ten_that_move_to_the_same_time_at_once_lose_no_appointment(n8n: N8n) -> None:
    day, other = next_day(), next_day()
    times = [f"{9 + n // 2:02}:{n % 2 * 30:02}" for n in range(6)]
    for number, at in enumerate(times):
        await n8n.call("book_appointment", name=f"M{number}", day=day, time=at)

    answers = await asyncio.gather(
        *(
            n8n.call("move_appointment", name=f"M{number}", new_day=other, new_time="15:00")
            for number in range(6)
        )
    )

    assert Counter(answer.body["ok"] for answer in answers) == {True: 1, False: 5}
    assert len(await booked(n8n, other)) == 1
    assert len(await booked(n8n, day)) == 5


async def test_an_appointment_that_is_moved_and_cancelled_at_once_is_where_callers_were_told(
    n8n: N8n,
) -> None:
    day = next_day()
    await n8n.call("book_appointment", name="Nell", day=day, time="09:00")

    moves = [
        n8n.call("move_appointment", name="Nell", new_day=day, new_time=f"1{hour}:00")
        for hour in range(4)
    ]
    *moved, cancelled = await asyncio.gather(*moves, n8n.call("cancel_appointment", name="Nell"))

    kept = [row["slot"][11:16] for row in await booked(n8n, day)]
    told = [each.result["time"] for each in moved if each.body["ok"]]
    assert len(kept) == (0 if cancelled.body["ok"] else 1)
    assert set(kept) <= set(told)
    refused = [each.error for each in (*moved, cancelled) if not each.body["ok"]]
    assert set(refused) <= {"changed_since", "not_found", "which"}


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
async def test_a_request_that_comes_again_changes_nothing_more(n8n: N8n, at_once: bool) -> None:
    day, key = next_day(), f"key-{at_once}"
    calls = [n8n.call("book_appointment", key, name="Eve", day=day, time="11:00") for _ in range(5)]

    answers = await asyncio.gather(*calls) if at_once else [await call for call in calls]

    assert {json.dumps(answer.result) for answer in answers} == {json.dumps(answers[0].result)}
    assert len(await booked(n8n, day)) == 1


async def test_a_move_and_a_cancel_that_come_again_are_answered_as_before(n8n: N8n) -> None:
    day = next_day()
    await n8n.call("book_appointment", name="Fay", day=day, time="09:00")
    again = {"name": "Fay", "new_day": day, "new_time": "16:30"}

    moves = [(await n8n.call("move_appointment", "move-fay", **again)).result for _ in range(2)]
    cancels = [
        (await n8n.call("cancel_appointment", "cancel-fay", name="Fay")).result for _ in range(2)
    ]

    assert moves[0] == moves[1]
    assert cancels[0] == cancels[1]
    assert await booked(n8n, day) == []


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"time": "10:10"}, "not_offered"),
        ({"time": "08:30"}, "not_offered"),
        ({"time": "17:00"}, "not_offered"),
        ({"time": "half past ten"}, "bad_time"),
        ({"day": "2026-02-30"}, "bad_time"),
        ({"day": "2026-01-02"}, "past"),
        ({"day": "2031-01-02"}, "too_far"),
        ({"day": next_weekend()}, "closed"),
        ({"day": "2026-12-25"}, "closed"),
        ({"name": " "}, "no_name"),
    ],
)
async def test_what_cannot_be_booked_is_refused_with_its_reason(
    n8n: N8n, wish: dict[str, str], code: str
) -> None:
    given = {"name": "Gus", "day": "2026-12-16", "time": "10:00", **wish}

    assert (await n8n.call("book_appointment", **given)).error == code


async def test_a_caller_in_another_time_zone_may_say_their_own_time(n8n: N8n) -> None:
    day = next_day()

    answer = await n8n.call(
        "book_appointment", name="Hal", day=day, time="10:00", time_zone="America/New_York"
    )
    early = await n8n.call(
        "book_appointment", name="Ida", day=day, time="09:30", time_zone="Europe/Paris"
    )

    assert (answer.result["time"], answer.result["time_zone"]) == ("15:00", "Europe/London")
    assert early.error == "not_offered"


async def test_one_of_several_appointments_must_be_named(n8n: N8n) -> None:
    first, second = next_day(), next_day()
    for day in (first, second):
        await n8n.call("book_appointment", name="Joy", day=day, time="12:00")

    unclear = await n8n.call("cancel_appointment", name="Joy")
    named = await n8n.call("cancel_appointment", name="Joy", day=second)

    assert unclear.error == "which"
    assert named.result["day"] == second
    assert len(await booked(n8n, first)) == 1


@pytest.mark.parametrize("how", ["unsigned", "another secret", "six minutes old", "changed"])
async def test_what_parley_has_not_just_signed_does_not_run(n8n: N8n, how: str) -> None:
    day = next_day()
    body = json.dumps(
        envelope("book_appointment", {"name": "Kim", "day": day, "time": "10:00"})
    ).encode()
    secret = n8n.secrets.signing if how != "another secret" else "another"
    at_s = int(time.time()) - (360 if how == "six minutes old" else 0)
    headers = {HEADER: sign(secret, body, at_s)} if how != "unsigned" else {}
    sent = body.replace(b"10:00", b"11:00") if how == "changed" else body

    answer = await n8n.post(f"/webhook/{hook_of('book_appointment')}/tool", sent, headers)

    assert (answer.status, answer.error) == (401, "bad_signature")
    assert await booked(n8n, day) == []


async def test_what_is_meant_for_one_tool_does_not_run_another(n8n: N8n) -> None:
    body = json.dumps(envelope("free_times", {"day": next_day()})).encode()
    headers = {HEADER: sign(n8n.secrets.signing, body)}

    answer = await n8n.post(f"/webhook/{hook_of('cancel_appointment')}/tool", body, headers)

    assert (answer.status, answer.error) == (400, "wrong_tool")


async def test_how_long_they_take(
    n8n: N8n, record_property: pytest.RecordProperty
) -> None:  # the figures are for the summary, and no law
    day = next_day()
    looks = [(await n8n.call("free_times", day=day)).took_ms for _ in range(20)]
    books = [
        (
            await n8n.call(
                "book_appointment", name=f"T{n}", day=day, time=f"{9 + n // 2:02}:{n % 2 * 30:02}"
            )
        ).took_ms
        for n in range(16)
    ]

    record_property("free_times median ms", round(statistics.median(looks)))
    record_property("book_appointment median ms", round(statistics.median(books)))
    assert len(await booked(n8n, day)) == 16
