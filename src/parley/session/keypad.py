"""A number that the caller types or says: what has come of it, and whether it is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from parley.core.events import DtmfReceived, Event
from parley.core.spoken_digits import digits_in
from parley.tools.spec import DigitsGiven, DigitsWanted

HIDDEN = "(a number)"
"""What events and the transcript have in the place of a secret."""


@dataclass(frozen=True, slots=True)
class _Fact:
    kind: Literal["key", "words", "speech", "pause", "asked"]
    text: str = ""


class DigitCollector:
    """Gathers one number. It is told of keys and of words while ``collect`` waits."""

    def __init__(self, wanted: DigitsWanted, language: str = "en") -> None:
        self.wanted = wanted
        self._language = language
        self._facts: asyncio.Queue[_Fact] = asyncio.Queue()
        self._digits = ""
        self._ways: set[Literal["keys", "voice"]] = set()
        self._said = ""
        self._is_asked = False
        self._is_speaking = False

    # ── what is told ─────────────────────────────────────────────────────────────────────

    def take_key(self, digit: str) -> None:
        self._facts.put_nowait(_Fact("key", digit))

    def take_words(self, text: str) -> None:
        self._facts.put_nowait(_Fact("words", text))

    def take_turn(self, *, is_open: bool) -> None:
        """The caller has begun to speak, or has finished."""
        self._facts.put_nowait(_Fact("speech" if is_open else "pause"))

    def asked(self) -> None:
        """The caller has heard the question: from now on silence counts."""
        self._facts.put_nowait(_Fact("asked"))

    def shown(self, text: str) -> str:
        """What others may see of the caller's words."""
        return HIDDEN if self.wanted.is_secret and text else text

    # ── what comes of it ─────────────────────────────────────────────────────────────────

    async def collect(self, stop_asking: Callable[[], Awaitable[None]]) -> DigitsGiven:
        """Return when the number is complete, or no more of it is to be waited for.

        ``stop_asking`` is called when the first key comes while the question is still asked.
        """
        while True:
            try:
                async with asyncio.timeout(self._patience_s()):
                    fact = await self._facts.get()
            except TimeoutError:
                return self._given("silence")
            if fact.kind == "key" and not self._is_asked:
                self._is_asked = True
                await stop_asking()
            ended = self._take(fact)
            if ended is not None:
                return self._given(ended)

    def _patience_s(self) -> float | None:
        if self._is_speaking or not (self._is_asked or self._digits):
            return None
        return self.wanted.between_s if self._digits else self.wanted.first_s

    def _take(self, fact: _Fact) -> Literal["count", "terminator", "said"] | None:
        match fact.kind:
            case "speech" | "pause":
                self._is_speaking = fact.kind == "speech"
            case "asked":
                self._is_asked = True
            case "words":
                return self._take_words(fact.text)
            case "key":
                if fact.text == self.wanted.terminator:
                    return "terminator"
                return self._add(fact.text, "keys")
        return None

    def _take_words(self, text: str) -> Literal["count", "said"] | None:
        self._is_asked = True
        found = digits_in(text, self._language)
        if found:
            return self._add(found, "voice")
        # Half a number and a remark: the number goes on.
        if not text.strip() or self._digits:
            return None
        self._said = text.strip()
        return "said"

    def _add(self, digits: str, way: Literal["keys", "voice"]) -> Literal["count"] | None:
        self._ways.add(way)
        most = self.wanted.count or self.wanted.most
        self._digits = (self._digits + digits)[:most]
        return "count" if len(self._digits) >= most else None

    def _given(self, ended: Literal["count", "terminator", "silence", "said"]) -> DigitsGiven:
        by: Literal["keys", "voice", "both", "nobody"] = "nobody"
        if self._ways:
            by = "both" if len(self._ways) > 1 else next(iter(self._ways))
        return DigitsGiven(self._digits, ended, by, self._said)


class Keypad:
    """A call's keys on their way from the transport to whoever listens."""

    def __init__(self) -> None:
        self.collector: DigitCollector | None = None

    def take(self, event: Event) -> Event:
        """The event as others may see it."""
        collector = self.collector
        if not isinstance(event, DtmfReceived) or collector is None:
            return event
        collector.take_key(event.digit)
        return replace(event, digit="", is_secret=True) if collector.wanted.is_secret else event
