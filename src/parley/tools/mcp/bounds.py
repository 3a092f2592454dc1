"""What an MCP server sends is read up to a size: one message, whole or as an event of a stream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2

LARGEST_MESSAGE_BYTES = 4 * 1024 * 1024
"""What tools answer is bounded further below: they say most things twice, as text and as data."""
LARGEST_OLD_EVENT_BYTES = 1024 * 1024
"""The SDK's own for the way ``sse``, and not to be set."""

# The same words as the SDK's own for events.
_SAYS = "exceeded the {} byte limit"
_SAID = re.compile(_SAYS.format(r"\d+"))
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_BLANK_LINE = 4


class Excess(httpx2.StreamError):
    """A message is too large, or compressed, and then of any size."""


class EventExcess(httpx2.SSEError):
    """The same of an event: the SDK makes an error of the request out of this one only."""


@dataclass(slots=True)
class Bound:
    """One connection's. ``exceeded`` is set when nobody can tell whose answer was too large.
    ``ends_it``: the connection is over then, for all messages come in one stream."""

    most_bytes: int = LARGEST_MESSAGE_BYTES
    ends_it: bool = False
    exceeded: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def says(self) -> str:
        return f"the message {_SAYS.format(self.most_bytes)}"

    def exceed(self) -> None:
        """Tell all who wait for an answer now."""
        self.exceeded.set()
        if not self.ends_it:
            self.exceeded = asyncio.Event()


def is_excess(says: str) -> bool:
    """Whether an error of the SDK's goes back to such a message."""
    return _SAID.search(says) is not None


def bounded(response: httpx2.Response, bound: Bound) -> httpx2.Response:
    """The same response, which can be read up to there."""
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_compressed = response.headers.get("content-encoding", "identity") != "identity"
    is_stream = kind == "text/event-stream"
    response.stream = _Bounded(stream, bound, is_stream=is_stream, is_compressed=is_compressed)
    return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(
        self,
        stream: httpx2.AsyncByteStream,
        bound: Bound,
        *,
        is_stream: bool,
        is_compressed: bool,
    ) -> None:
        self._stream = stream
        self._bound = bound
        self._is_stream = is_stream
        self._is_compressed = is_compressed
        self._message_bytes = 0
        self._end = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            if self._is_compressed:
                raise self._excess("the answer is compressed, which was not asked for")
            self._count(piece)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _count(self, piece: bytes) -> None:
        self._message_bytes += len(piece)
        if self._is_stream:
            self._count_events(piece)
        self._require_room(self._message_bytes)

    def _count_events(self, piece: bytes) -> None:
        """An event ends with a blank line, which may come in two pieces."""
        known = self._end + piece
        ends = [found.end() for found in _BLANK_LINE.finditer(known)]
        if ends:
            self._require_room(self._message_bytes - (len(known) - ends[0]))
            self._message_bytes = len(known) - ends[-1]
        self._end = known[-(_LONGEST_BLANK_LINE - 1) :]

    def _require_room(self, message_bytes: int) -> None:
        if message_bytes > self._bound.most_bytes:
            raise self._excess(self._bound.says)

    def _excess(self, says: str) -> Exception:
        if not self._is_stream:
            return Excess(says)
        if self._bound.ends_it:
            self._bound.exceed()
        return EventExcess(says)
