"""Which slot of llama.cpp's server each conversation has, so that its prompt stays warm there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager


class Slots:
    """``count`` slots. The conversation that was silent the longest gives its slot up."""

    def __init__(self, count: int) -> None:
        self._free = list(range(count - 1, -1, -1))
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._busy: list[str] = []

    @contextmanager
    def using(self, conversation: str) -> Generator[int | None]:
        """The slot for one reply; None when every slot is at work and the server must choose."""
        slot = self._slot(conversation) if conversation else None
        if slot is None:
            yield None
            return
        self._busy.append(conversation)
        try:
            yield slot
        finally:
            self._busy.remove(conversation)

    def _slot(self, conversation: str) -> int | None:
        slot = self._slots.pop(conversation, None)
        if slot is None and self._free:
            slot = self._free.pop()
        elif slot is None:
            idle = next((each for each in self._slots if each not in self._busy), None)
            slot = self._slots.pop(idle) if idle is not None else None
        if slot is not None:
            self._slots[conversation] = slot
        return slot
