"""The tools bench: its arithmetic, and a booking that a kill falls into."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from bench.bookings import SECRET, Parley, book_until_done, judge
from bench.tools import summarise
from bench.workflow import Mood, Row, Workflow, running_workflow

ROWS = [Row(1, "key_1", "run_1", "call_1"), Row(2, "key_2", "run_2", "call_2")]


def run(number: int, state: str = "answered", **others: object) -> Mapping[str, Any]:
    return {
        "id": f"run_{number}",
        "idempotency_key": f"key_{number}",
        "arguments": {"slot": number},
        "state": state,
        "answer": {"booked": number} if state in ("answered", "late") else None,
        **others,
    }


def test_overhead_is_told_by_its_median_and_its_slowest_uses() -> None:
    taken_ms = [float(number) for number in range(1, 21)]

    figures = summarise({"paused": taken_ms, "in_a_row": [1.0], "at_once": [2.0], "bare": [0.5]})

    assert (figures["overhead_p50_ms"], figures["paused_overhead_p95_ms"]) == (10.5, 19.0)
    assert figures["bare_overhead_p50_ms"] == 0.5
    assert figures["requests"] == 20


def test_bookings_that_are_right_are_found_right() -> None:
    verdict = judge([1, 2], ROWS, [run(1), run(2, "late"), run(3, "failed")])

    assert verdict.problems == ()
    assert verdict.states == {"answered": 1, "late": 1, "failed": 1}


@pytest.mark.parametrize(
    ("rows", "runs", "says"),
    [
        (ROWS[:1], [run(1)], "slot 2 was booked 0 times"),
        ([*ROWS, Row(2, "key_3", "run_3", "c")], [run(1), run(2), run(3)], "booked 2 times"),
        ([*ROWS, Row(9, "key_9", "run_9", "c")], [run(1), run(2), run(9)], "never asked for"),
        (ROWS, [run(1)], "slot 2 is not on record"),
        (ROWS, [run(1), run(2, idempotency_key="other")], "slot 2 is another's"),
        (ROWS, [run(1), run(2, arguments={"slot": 7})], "slot 2 is another's"),
        (ROWS, [run(1), run(2, "open")], "run_2 is still open"),
        (ROWS, [run(1), run(2, answer=None)], "without an answer"),
    ],
)
def test_what_is_wrong_with_bookings_is_found(
    rows: list[Row], runs: list[Mapping[str, Any]], says: str
) -> None:
    (problem, *_) = judge([1, 2], rows, runs).problems

    assert says in problem


@pytest.mark.timeout(240)
async def test_a_booking_that_a_kill_falls_into_is_made_once_and_is_on_record(
    tmp_path: Path,
) -> None:
    moods: Iterator[Mood] = iter(["waits", "prompt", "late", "dies_after", "prompt"])
    workflow = Workflow(SECRET, mood=lambda: next(moods))
    async with running_workflow(workflow):
        parley = Parley(tmp_path / "data", workflow.url)
        parley.prepare()
        await parley.start()
        try:
            asking = asyncio.create_task(parley.book(1))
            await workflow.until(lambda: len(workflow.rows) == 1)
            await parley.kill()
            cut_off = await asking
            await parley.start()
            answer = {"ok": True, "result": {"booked": 1}}
            sent = [await workflow.deliver(workflow.asked[0], answer) for _ in range(2)]
            tries = [await book_until_done(parley, workflow, slot) for slot in (1, 2, 3)]
            await workflow.callbacks_done()
            runs = await parley.runs()
        finally:
            await parley.stop()

    verdict = judge([1, 2, 3], workflow.rows, runs)
    assert verdict.problems == ()
    assert verdict.states == {"late": 1, "answered": 1, "failed": 3}
    assert (cut_off, sent) == ("", ["late", "duplicate"])
    assert tries == [1, 1, 2]
    assert [delivered for _, delivered in workflow.delivered] == ["call", "duplicate"]
