"""Remembers what an agent's tools did in written conversations, whose clients send only words."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from parley.engines.spec import Message

MOST_KEPT = 2000
KEPT_S = 3600.0
BROKEN_KEPT_S = 600.0
_BROKEN: Message = {"role": "broken off", "content": ""}


@dataclass(frozen=True, slots=True)
class _Rounds:
    """What stands behind one visible reply, and until when it is kept."""

    messages: tuple[Message, ...]
    until_s: float


class RoundMemory:
    """The tool rounds behind replies, found again by the conversation up to the reply.

    A client of a stateless API sends back what it was shown: the words. Without the rounds the
    model would not know that it has booked already, and might book again.
    """

    def __init__(
        self,
        *,
        most: int = MOST_KEPT,
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._kept_s = kept_s
        self._clock = clock
        self._kept: OrderedDict[bytes, _Rounds] = OrderedDict()

    def recalled(self, whose: tuple[str, ...], messages: Sequence[Message]) -> list[Message]:
        """The conversation with every round that is remembered back in its place."""
        found: list[Message] = []
        trail = _Trail(whose)
        for place, message in enumerate(messages):
            digest = trail.step(message)
            rounds = self._find(digest) if message.get("role") == "assistant" else None
            found.extend(rounds.messages if rounds else [message])
            if place < len(messages) - 1 and (broken := self._find(trail.then(_BROKEN))):
                found.extend(broken.messages)
        return found

    def broken(self, whose: tuple[str, ...], messages: Sequence[Message]) -> list[Message]:
        """What an attempt to answer this very conversation had done before it broke off."""
        rounds = self._find(_broken_digest(whose, messages))
        return list(rounds.messages) if rounds else []

    def keep_broken(
        self, whose: tuple[str, ...], messages: Sequence[Message], rounds: Sequence[Message]
    ) -> None:
        """Tools have done something, and whoever asked has got no answer."""
        self._keep(_broken_digest(whose, messages), rounds, BROKEN_KEPT_S)

    def mend(self, whose: tuple[str, ...], messages: Sequence[Message]) -> None:
        """It has been answered now: asked once more, it is meant."""
        self._kept.pop(_broken_digest(whose, messages), None)

    def keep(
        self,
        whose: tuple[str, ...],
        messages: Sequence[Message],
        shown: str,
        rounds: Sequence[Message],
    ) -> None:
        """After ``messages`` the client was shown ``shown``; ``rounds`` is what really happened."""
        trail = _Trail(whose)
        for message in messages:
            trail.step(message)
        self._keep(trail.step({"role": "assistant", "content": shown}), rounds, self._kept_s)

    def _keep(self, digest: bytes, rounds: Sequence[Message], kept_s: float) -> None:
        self._kept[digest] = _Rounds(tuple(rounds), self._clock() + kept_s)
        self._kept.move_to_end(digest)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def _find(self, digest: bytes) -> _Rounds | None:
        found = self._kept.get(digest)
        if found is not None and found.until_s < self._clock():
            del self._kept[digest]
            return None
        return found


class _Trail:
    """The digest of a conversation, message by message; blanks don't matter."""

    def __init__(self, whose: tuple[str, ...]) -> None:
        self._hash = hashlib.sha256(repr(whose).encode())

    def step(self, message: Message) -> bytes:
        words = " ".join(_text(message.get("content")).split())
        told = (message.get("role"), words, message.get("tool_calls"), message.get("tool_call_id"))
        self._hash.update(repr(told).encode("utf-8", "surrogatepass"))
        return self._hash.digest()

    def then(self, message: Message) -> bytes:
        """What it would be with that message, which it doesn't take."""
        other = _Trail(())
        other._hash = self._hash.copy()
        return other.step(message)


def _broken_digest(whose: tuple[str, ...], messages: Sequence[Message]) -> bytes:
    trail = _Trail(whose)
    for message in messages:
        trail.step(message)
    return trail.step(_BROKEN)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast(Message, part) for part in cast(list[Any], content) if isinstance(part, dict)]
    return " ".join(str(part.get("text", "")) for part in parts)
