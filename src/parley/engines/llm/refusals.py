"""Puts a sentence in the place of what an agent must not say, before it is spoken."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from parley.core.log import get_logger
from parley.engines.spec import Delta

log = get_logger(__name__)

REFUSAL = "I'm sorry, I can't talk about that."
LONGEST_SENTENCE = 600

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s|[。！？]|\n")


@dataclass(frozen=True, slots=True)
class Refusals:
    """Sentences in which one of ``patterns`` is found are replaced by ``sentence``, once."""

    patterns: tuple[re.Pattern[str], ...]
    sentence: str = REFUSAL

    def hits(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self.patterns)

    async def applied(self, deltas: AsyncGenerator[Delta]) -> AsyncGenerator[Delta]:
        """The reply sentence by sentence; the end of a sentence is what each waits for."""
        reply = _Reply(self)
        async with aclosing(deltas):
            async for delta in deltas:
                text = "".join(reply.take(delta.text))
                if delta.tools or delta.finish:
                    text += reply.end()
                yield replace(delta, text=text)
        if rest := reply.end():
            yield Delta(text=rest)


class _Reply:
    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._held = ""
        self._has_refused = False

    def take(self, text: str) -> Iterator[str]:
        self._held += text
        while end := _SENTENCE_END.search(self._held):
            yield self._judged(self._cut(end.end()))
        if len(self._held) > LONGEST_SENTENCE:
            yield self._judged(self._cut(len(self._held)))

    def end(self) -> str:
        return self._judged(self._cut(len(self._held)))

    def _cut(self, until: int) -> str:
        sentence, self._held = self._held[:until], self._held[until:]
        return sentence

    def _judged(self, sentence: str) -> str:
        if not self._refusals.hits(sentence):
            return sentence
        log.info("reply_refused")
        is_first, self._has_refused = not self._has_refused, True
        return f"{self._refusals.sentence} " if is_first else ""
