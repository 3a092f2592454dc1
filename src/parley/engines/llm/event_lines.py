"""Reads what chat servers stream: server-sent events, or JSON line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

LONGEST_LINE = 1 << 20
LONGEST_REPLY = 16 << 20


class Lines:
    """Cuts bytes into lines as they come. Raises ``ValueError`` when there is no end to them."""

    def __init__(self) -> None:
        self._rest = b""
        self._read = 0

    def push(self, piece: bytes) -> list[bytes]:
        self._read += len(piece)
        if self._read > LONGEST_REPLY:
            raise ValueError("a reply without end")
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise ValueError("a line without end")
        return lines

    def end(self) -> bytes:
        """What came after the last line's end."""
        rest, self._rest = self._rest, b""
        return rest


class ServerEvents:
    """The JSON objects in a stream of server-sent events.

    An event is given as soon as its JSON is whole, for not every server sends the empty line that
    ends one. A server that ignores ``stream`` and answers with one JSON object is read as well.
    """

    def __init__(self) -> None:
        self._lines = Lines()
        self._data = b""
        self._stray: list[bytes] = []
        self._has_events = False
        self.is_done = False

    def push(self, piece: bytes) -> Iterator[dict[str, Any]]:
        for line in self._lines.push(piece):
            yield from self._line(line.rstrip(b"\r"))

    def end(self) -> Iterator[dict[str, Any]]:
        """The server has closed: what is still to be said, if it makes sense."""
        yield from self._line(self._lines.end().rstrip(b"\r"))
        whole = b"\n".join(self._stray).strip()
        if not self._has_events and whole.startswith(b"{"):
            yield _object(json.loads(whole))
            self.is_done = True

    def _line(self, line: bytes) -> Iterator[dict[str, Any]]:
        field, colon, value = line.partition(b":")
        if not line or self.is_done:
            self._data = b""
        elif colon and field in (b"data", b"error"):
            yield from self._event(value.strip(), is_error=field == b"error")
        elif field not in (b"", b"event", b"id", b"retry") and not self._has_events:
            self._stray.append(line)

    def _event(self, data: bytes, *, is_error: bool) -> Iterator[dict[str, Any]]:
        if data == b"[DONE]":
            self.is_done = True
            return
        self._data = self._data + b"\n" + data if self._data else data
        try:
            event = json.loads(self._data)
        except ValueError:
            # It may go on in the next line; if it doesn't, it was nonsense and is dropped.
            return
        self._data = b""
        self._has_events = True
        # llama.cpp's server has a field of its own for errors.
        yield {"error": event} if is_error else _object(event)


class JsonLines:
    """The JSON objects of a stream that has one on each line."""

    def __init__(self) -> None:
        self._lines = Lines()

    def push(self, piece: bytes) -> Iterator[dict[str, Any]]:
        for line in self._lines.push(piece):
            if line.strip():
                yield _object(json.loads(line))

    def end(self) -> Iterator[dict[str, Any]]:
        rest = self._lines.end()
        if rest.strip():
            yield _object(json.loads(rest))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("JSON that is no object")
    return cast("dict[str, Any]", value)
