"""A recogniser for the worker pool's tests: it runs in a worker and spells what it is fed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any


class Speller:
    """Hears bytes as letters; one more partial text with every piece."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._room = int(options.get("room", 8))
        self.taken = 0
        self.pieces = 0
        self._notes: list[str] = []

    def has_room(self) -> bool:
        return self.taken < self._room

    def open(self, options: dict[str, Any]) -> Spelling:
        if options.get("refuse"):
            raise ValueError("no such language")
        if options.get("note"):
            self._notes.append(options["note"])
        self.taken += 1
        return Counting(self) if options.get("counts") else Spelling(self)

    def take_notes(self) -> list[str]:
        notes, self._notes = self._notes, []
        return notes


class Spelling:
    def __init__(self, speller: Speller) -> None:
        self._speller = speller
        self._text = ""

    def take(self, pcm: bytes) -> str:
        self._speller.pieces += 1
        if pcm == b"sleep":
            signal.pause()
        if pcm.startswith(b"/"):
            # A pipe with a name: reading it takes until somebody writes.
            return Path(pcm.decode()).read_text()
        self._text += pcm.decode()
        return self._text

    def finish(self) -> str:
        return self._text.upper()

    def close(self) -> None:
        self._speller.taken -= 1


class Counting(Spelling):
    """Says how many pieces the process has heard."""

    def finish(self) -> str:
        return str(self._speller.pieces)


class Broken:
    """Can't even be made."""

    def __init__(self, options: dict[str, Any]) -> None:
        raise SystemExit(3)
