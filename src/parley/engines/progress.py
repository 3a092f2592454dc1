"""A download in words and as a bar for a terminal: bytes, rate, time remaining."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from parley.engines.keeper import PullProgress

BAR_CELLS = 24
REDRAW_S = 0.2
PLAIN_EVERY_S = 5.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


def human_bytes(count: float) -> str:
    """1234567 → ``1.2 MB``."""
    step = 0
    while count >= 1000 and step < len(_UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{count:.0f} {_UNITS[step]}" if step == 0 else f"{count:.1f} {_UNITS[step]}"


def human_time(seconds: float) -> str:
    """75 → ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class PullRate:
    """Bytes per second since the download began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._start_bytes: int | None = None

    def note(self, progress: PullProgress) -> None:
        """See a step. What was there at the first was not fetched in this time."""
        if self._start_bytes is None:
            self._start_bytes = progress.done_bytes

    def describe(self, progress: PullProgress) -> str:
        """``llama3.2:3b  43 %  860.0 MB of 2.0 GB  12.1 MB/s  1 min 34 s left``."""
        self.note(progress)
        parts = [progress.model]
        if progress.total_bytes:
            share = progress.done_bytes / progress.total_bytes
            parts.append(f"{share:.0%}".replace("%", " %"))
            total = human_bytes(progress.total_bytes)
            parts.append(f"{human_bytes(progress.done_bytes)} of {total}")
        elif progress.done_bytes:
            parts.append(human_bytes(progress.done_bytes))
        rate = self._rate(progress.done_bytes)
        if rate > 0:
            parts.append(f"{human_bytes(rate)}/s")
            left = progress.total_bytes - progress.done_bytes
            if left > 0:
                parts.append(f"{human_time(left / rate)} left")
        if progress.says:
            parts.append(progress.says)
        return "  ".join(parts)

    def _rate(self, done_bytes: int) -> float:
        if self._start_bytes is None:
            return 0.0
        passed_s = self._clock() - self._start_s
        return (done_bytes - self._start_bytes) / passed_s if passed_s > 0.5 else 0.0


class PullBar:
    """Draws one download: a bar that is redrawn on a terminal, now and then a line elsewhere."""

    def __init__(
        self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out or sys.stderr
        self._clock = clock
        self._rate = PullRate(clock)
        self._is_terminal = self._out.isatty()
        self._drawn_s = -PLAIN_EVERY_S
        self._width = 0

    def show(self, progress: PullProgress) -> None:
        pause_s = REDRAW_S if self._is_terminal else PLAIN_EVERY_S
        self._rate.note(progress)
        if self._clock() - self._drawn_s < pause_s:
            return
        self._drawn_s = self._clock()
        text = self._rate.describe(progress)
        if not self._is_terminal:
            print(text, file=self._out, flush=True)
            return
        line = f"{_bar(progress)} {text}"
        print(f"\r{line.ljust(self._width)}", end="", file=self._out, flush=True)
        self._width = len(line)

    def finish(self, says: str) -> None:
        start = f"\r{' ' * self._width}\r" if self._is_terminal else ""
        print(f"{start}{says}", file=self._out, flush=True)


def _bar(progress: PullProgress) -> str:
    if not progress.total_bytes:
        return f"[{'·' * BAR_CELLS}]"
    full = min(BAR_CELLS, BAR_CELLS * progress.done_bytes // progress.total_bytes)
    return f"[{'█' * full}{'·' * (BAR_CELLS - full)}]"
