"""How often something may happen."""

from __future__ import annotations

from collections.abc import Callable


class Rate:
    """A bucket that fills steadily and holds one second's worth."""

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._clock = clock
        self._held = max(per_s, 1.0)
        self._seen_s = clock()

    def take(self) -> bool:
        if not self._per_s:
            return True
        now_s = self._clock()
        self._held = min(max(self._per_s, 1.0), self._held + (now_s - self._seen_s) * self._per_s)
        self._seen_s = now_s
        if self._held < 1.0:
            return False
        self._held -= 1.0
        return True
