"""One text, spoken to its end: its pieces of sound, and the form they have in a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast

from parley.core.audio import Audio

_MAGIC = b"PARLEY-TAKE 1\n"
_OVERHEAD_BYTES = 120
"""What a piece costs in memory beside its sound, about."""


@dataclass(frozen=True, slots=True)
class Take:
    """The pieces just as the engine gave them."""

    pieces: tuple[Audio, ...]

    @property
    def bytes(self) -> int:
        return sum(len(p.pcm) + len(p.words) + _OVERHEAD_BYTES for p in self.pieces)

    def to_file(self) -> bytes:
        head = [[len(piece.pcm), piece.rate_hz, piece.words] for piece in self.pieces]
        body = json.dumps(head).encode() + b"\n" + b"".join(piece.pcm for piece in self.pieces)
        return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def from_file(cls, data: bytes) -> Take:
        """Raises ``ValueError`` for whatever is not a whole take."""
        digest, _, body = data.removeprefix(_MAGIC).partition(b"\n")
        if not data.startswith(_MAGIC) or hashlib.sha256(body).hexdigest().encode() != digest:
            raise ValueError("no whole take")
        head, _, sound = body.partition(b"\n")
        pieces: list[Audio] = []
        at = 0
        for size, rate_hz, words in cast(list[tuple[int, int, str]], _parsed(head)):
            pieces.append(Audio(sound[at : at + size], rate_hz, words))
            at += size
        return cls(tuple(pieces))


def _parsed(head: bytes) -> list[Any]:
    return cast(list[Any], json.loads(head))
