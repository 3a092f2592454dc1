"""Long texts for engines that take short ones: cut where a speaker would pause."""

from __future__ import annotations

from collections.abc import Iterator

_PAUSES = (". ", "! ", "? ", "; ", ", ", " ")


def text_pieces(text: str, most: int) -> Iterator[str]:
    """The text in pieces of at most ``most`` characters, none of them empty."""
    rest = text.strip()
    while len(rest) > most:
        at = _pause_before(rest, most)
        piece, rest = rest[:at].strip(), rest[at:].strip()
        if piece:
            yield piece
    if rest:
        yield rest


def _pause_before(text: str, most: int) -> int:
    """Where to cut: the last full stop in the second half, or a weaker pause, or anywhere."""
    for pause in _PAUSES:
        at = text.rfind(pause, most // 2, most)
        if at != -1:
            return at + 1
    return most
