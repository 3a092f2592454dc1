"""Who sends more than a voice takes is read no faster than that."""

from __future__ import annotations

import pytest

from parley.transports.reading_pace import BYTES_PER_S, MESSAGES_PER_S, PAUSE_S, ReadingPace


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def pace(clock: list[float]) -> ReadingPace:
    return ReadingPace(lambda: clock[0])


def test_a_second_of_the_most_may_come_at_once(pace: ReadingPace) -> None:
    assert pace.wait_s(BYTES_PER_S) == 0


def test_large_messages_are_waited_for_as_long_as_they_are_large(
    pace: ReadingPace, clock: list[float]
) -> None:
    waits_s: list[float] = []
    for _ in range(40):
        waits_s.append(pace.wait_s(BYTES_PER_S // 4))
        clock[0] += waits_s[-1]

    # The first four are the burst; from then on each waits for its own share of a second.
    assert waits_s[:4] == [0, 0, 0, 0]
    assert waits_s[4:] == [pytest.approx(0.25)] * 36


def test_a_voice_is_never_waited_for(pace: ReadingPace, clock: list[float]) -> None:
    waits_s: list[float] = []
    for _ in range(5000):
        waits_s.append(pace.wait_s(2400))
        clock[0] += 0.02

    assert set(waits_s) == {0.0}


def test_many_small_messages_are_paused_for(pace: ReadingPace) -> None:
    waits_s = [pace.wait_s(1) for _ in range(int(MESSAGES_PER_S) + 1)]

    assert set(waits_s[:-1]) == {0.0}
    assert waits_s[-1] == PAUSE_S
