"""Sound stays within its bound, by the clock."""

from __future__ import annotations

import asyncio

from parley.engines.tts.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_was_sent_is_ahead_until_the_clock_has_passed_it():
    clock = Clock()
    pace = Pace(1000, clock)

    pace.sent(600)
    clock.now_s += 0.2

    assert round(pace.ahead_ms) == 400


def test_a_pause_between_sentences_does_not_count_as_heard_in_advance():
    clock = Clock()
    pace = Pace(1000, clock)
    pace.sent(100)
    clock.now_s += 10

    pace.sent(300)

    assert round(pace.ahead_ms) == 300


async def test_there_is_room_until_the_bound_is_reached_and_then_one_waits():
    clock = Clock()
    pace = Pace(1000, clock)
    await pace.room_for(900)
    pace.sent(900)

    waiting = asyncio.ensure_future(pace.room_for(200))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now_s += 0.2

    await waiting


async def test_what_is_longer_than_the_bound_goes_out_once_everything_before_it_was_heard():
    pace = Pace(100, Clock())

    await pace.room_for(5000)


def test_nothing_is_ahead_after_an_interruption():
    pace = Pace(1000, Clock())
    pace.sent(800)

    pace.reset()

    assert pace.ahead_ms == 0
