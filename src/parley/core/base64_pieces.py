"""Base64 of any length, a piece at a time: decoding megabytes at once holds everything else up."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

# Whole groups of four; a piece takes a fraction of a millisecond.
PIECE_CHARACTERS = 64 * 1024


def decoded_pieces(text: str) -> Iterator[bytes]:
    """What the text stands for, in order. Raises ``ValueError`` where it is no base64."""
    if text.find("=", 0, max(0, len(text) - 2)) >= 0:
        raise ValueError("there is an end in its middle")
    for start in range(0, len(text), PIECE_CHARACTERS):
        piece = text[start : start + PIECE_CHARACTERS]
        yield binascii.a2b_base64(piece.encode(), strict_mode=True)
