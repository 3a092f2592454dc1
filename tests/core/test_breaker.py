"""When a breaker opens, for how long, and when it lets a request try."""

from __future__ import annotations

from parley.core.breaker import Breaker
from tests.engines.fallback.chains import Clock


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(failures_to_open=1, first_pause_s=2.0, clock=clock, chance=lambda: 0.0)
    breaker.failed("It died.")
    return breaker


def test_requests_that_fail_together_are_one_failure_to_come_back():
    breaker = opened(Clock())

    for _ in range(8):
        breaker.failed("It is still dead.")

    assert breaker.retry_in_s == 2.0
    assert breaker.reason == "It is still dead."


def test_each_probe_that_fails_doubles_the_pause():
    clock = Clock()
    breaker = opened(clock)
    pauses: list[float] = []

    for _ in range(7):
        clock.now_s += breaker.retry_in_s
        breaker.started()
        breaker.failed("It is still dead.")
        pauses.append(breaker.retry_in_s)

    assert pauses == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_success_forgets_what_was_before():
    clock = Clock()
    breaker = opened(clock)
    clock.now_s = 2.0
    breaker.started()

    breaker.succeeded()
    breaker.failed("It died again.")

    assert breaker.retry_in_s == 2.0
