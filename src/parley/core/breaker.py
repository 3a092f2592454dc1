"""A circuit breaker: after failures it keeps requests away for a while, then lets one try."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
JITTER = 0.2


class Breaker:
    """Closed while all is well; open for a pause after ``failures_to_open`` failures in a row;
    then half open: one request (the probe) may try, and its outcome closes or opens it again,
    for twice as long.

    ``clock`` gives seconds, ``chance`` a number from 0 to 1; tests hand in their own.
    """

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._pauses = 0
        self._open_until_s = 0.0
        self._is_probing = False
        self.reason = ""

    @property
    def is_closed(self) -> bool:
        return self._pauses == 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    @property
    def retry_in_s(self) -> float:
        """How long until a request may try; 0 when one may try now."""
        return 0.0 if self.is_closed else max(self._open_until_s - self._clock(), 0.0)

    def may_try(self) -> bool:
        """Whether a request may go out now. Asking changes nothing."""
        return self.is_closed or (not self._is_probing and self.retry_in_s == 0.0)

    def started(self) -> None:
        """A request goes out; in the half-open state it is the probe."""
        if not self.is_closed:
            self._is_probing = True

    def succeeded(self) -> None:
        self._failures = self._pauses = 0
        self._is_probing = False
        self.reason = ""

    def given_up(self) -> None:
        """The request ended without telling anything of who it was for: its caller went away."""
        self._is_probing = False

    def failed(self, reason: str) -> None:
        self._failures += 1
        self._is_probing = False
        self.reason = reason
        if self.is_closed and self._failures < self._failures_to_open:
            return
        if self.retry_in_s:
            # Requests that were under way together fail together; that is one failure to come back.
            return
        pause_s = min(self._first_pause_s * 2**self._pauses, self._longest_pause_s)
        self._pauses += 1
        self._open_until_s = self._clock() + pause_s * (1 + JITTER * self._chance())
