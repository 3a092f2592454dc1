"""What a program writes is read up to a size: one line is one message.

The SDK takes lines of any length, and puts each together anew with every piece of it. It decodes
them by an encoding whose name it is told: ours is UTF-8 that leaves out what is too long.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

from parley.tools.mcp.bounds import Bound

_NUMBERS = count(1)
_HEAD_BYTES = _TAIL_BYTES = 200
_ID = rb'"id"\s*:\s*(\d{1,18}|"[^"\\]{1,64}")'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"'
_AT_HEAD = re.compile(rb"\s*\{\s*" + _VERSION + rb"\s*,\s*" + _ID + rb"\s*,\s*\"(?:result|error)\"")
# What stands right before the last brace is no part of the answer itself.
_AT_TAIL = re.compile(_ID + rb"\s*(?:,\s*" + _VERSION + rb")?\s*\}\s*$")


@contextmanager
def bounded_lines(bound: Bound) -> Generator[str]:
    """``with bounded_lines(bound) as encoding``: Python knows it by that name while the block
    lasts."""
    name = f"parley_lines_{next(_NUMBERS)}"
    plain = codecs.lookup("utf-8")
    codec = codecs.CodecInfo(
        name=name,
        encode=plain.encode,
        decode=plain.decode,
        incrementaldecoder=partial(_Lines, bound),
    )
    find = partial(_found, name, codec)
    codecs.register(find)
    try:
        yield name
    finally:
        codecs.unregister(find)


def _found(name: str, codec: codecs.CodecInfo, wanted: str) -> codecs.CodecInfo | None:
    return codec if wanted == name else None


class _Lines(codecs.IncrementalDecoder):
    """UTF-8; in the place of a line that is too long comes the error that its request fails with.
    Where nobody can tell whose answer it was, the bound says so to all who wait for one."""

    def __init__(self, bound: Bound, errors: str = "strict") -> None:
        super().__init__(errors)
        self._bound = bound
        self._letters = codecs.getincrementaldecoder("utf-8")(errors)
        self._begin_line()

    def _begin_line(self) -> None:
        self._line_bytes = 0
        self._head = self._tail = b""
        self._is_told = False

    def decode(self, input: Any, final: bool = False) -> str:
        kept: list[bytes] = []
        for place, piece in enumerate(bytes(input).split(b"\n")):
            if place:
                kept.append(self._line_end())
                self._begin_line()
            kept.append(self._part(piece))
        return self._letters.decode(b"".join(kept), final)

    def _part(self, piece: bytes) -> bytes:
        self._head += piece[: _HEAD_BYTES - len(self._head)]
        self._line_bytes += len(piece)
        if self._line_bytes <= self._bound.most_bytes:
            return piece
        self._tail = (self._tail + piece)[-_TAIL_BYTES:]
        return self._told(_AT_HEAD.match(self._head))

    def _line_end(self) -> bytes:
        if self._line_bytes <= self._bound.most_bytes:
            return b"\n"
        told = self._told(_AT_TAIL.search(self._tail))
        if not self._is_told:
            self._bound.exceed()
        return told + b"\n"

    def _told(self, found: re.Match[bytes] | None) -> bytes:
        """The error, behind the beginning that was let through, which is no message."""
        if found is None or self._is_told:
            return b""
        self._is_told = True
        error = b'{"code":-32600,"message":"%s"}' % self._bound.says.encode()
        return b'\n{"jsonrpc":"2.0","id":%s,"error":%s}' % (found[1], error)
