"""How much work a JSON text is to read: whoever reads one can do nothing else until it is done."""

from __future__ import annotations

from parley.core.errors import TooLarge

MOST_MARKS = 100_000
"""Some 50 ms of reading at worst. A conversation as long as models can read has half of them."""


class JsonMarks:
    """Counts what begins or parts values, as the text comes: a megabyte of one long string is read
    in a millisecond, a megabyte of small values in a tenth of a second."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, piece: str | bytes | bytearray) -> None:
        """Raises ``TooLarge``."""
        if isinstance(piece, str):
            self._count += piece.count(",") + piece.count("[") + piece.count("{")
        else:
            self._count += piece.count(b",") + piece.count(b"[") + piece.count(b"{")
        if self._count > MOST_MARKS:
            raise TooLarge(
                f"The JSON has more than {MOST_MARKS:,} values.", hint="Send it in smaller parts."
            )
