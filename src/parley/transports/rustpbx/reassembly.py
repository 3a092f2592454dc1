"""Puts a client's frames back in order: some versions send each in a task of its own."""

from __future__ import annotations

from parley.transports.rustpbx.messages import Sound

WINDOW = 3
"""How many frames may wait for one that was overtaken."""
# A counter that jumps further has begun anew.
_FAR = 50


class FrameOrder:
    """``put`` gives the frames whose turn it is. A frame that never comes is not waited for any
    more once ``WINDOW`` others do; those without a number pass at once."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, Sound] = {}

    def put(self, sound: Sound) -> list[Sound]:
        number = sound.number
        if number is None:
            return [sound]
        if self._next is None or abs(number - self._next) > _FAR:
            given = self.flush()
            self._next = number + 1
            return [*given, sound]
        if number < self._next:
            # Too late to be put in its place; and some clients give every frame the same name.
            return [sound]
        self._waiting[number] = sound
        if self._next not in self._waiting and len(self._waiting) > WINDOW:
            self._next = min(self._waiting)
        given: list[Sound] = []
        while (found := self._waiting.pop(self._next, None)) is not None:
            given.append(found)
            self._next += 1
        return given

    def flush(self) -> list[Sound]:
        """What still waits, in order."""
        given = [self._waiting[number] for number in sorted(self._waiting)]
        self._waiting.clear()
        return given
