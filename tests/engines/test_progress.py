"""Downloads in words."""

from __future__ import annotations

import io

import pytest

from parley.engines.keeper import PullProgress
from parley.engines.progress import PullBar, PullRate, human_bytes, human_time


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (2.02e9, "2.0 GB")],
)
def test_bytes_are_told_in_units_that_people_use(count: float, words: str) -> None:
    assert human_bytes(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 s"), (75, "1 min 15 s"), (3700, "1 h 1 min")]
)
def test_time_is_told_in_units_that_people_use(seconds: float, words: str) -> None:
    assert human_time(seconds) == words


def test_progress_tells_share_rate_and_remaining_time() -> None:
    clock = Clock()
    rate = PullRate(clock)
    rate.describe(PullProgress("llama", 100_000_000, 1_000_000_000))
    clock.now_s += 10

    said = rate.describe(PullProgress("llama", 300_000_000, 1_000_000_000))

    assert said == "llama  30 %  300.0 MB of 1.0 GB  20.0 MB/s  35 s left"


def test_a_total_that_nobody_knows_is_not_made_up() -> None:
    assert PullRate(Clock()).describe(PullProgress("m", 0, 0, "asked for")) == "m  asked for"


def test_without_a_terminal_a_line_comes_now_and_then_and_no_carriage_returns() -> None:
    clock, out = Clock(), io.StringIO()
    bar = PullBar(out, clock)

    for done in range(0, 100, 10):
        bar.show(PullProgress("m", done, 100))
        clock.now_s += 1
    bar.finish("m is here.")

    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[-1] == "m is here."
    assert "\r" not in out.getvalue()


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock, out = Clock(), Terminal()
    bar = PullBar(out, clock)

    bar.show(PullProgress("m", 50, 100))
    clock.now_s += 1
    bar.show(PullProgress("m", 100, 100))
    bar.finish("m is here.")

    assert out.getvalue().count("\n") == 1
    assert "[████████████············]" in out.getvalue()
