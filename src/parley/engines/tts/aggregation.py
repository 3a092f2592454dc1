"""Cuts a reply that streams in into what is spoken at one go: sentences, and clauses in a hurry."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

from pipecat.utils.text.base_text_aggregator import Aggregation, TextType
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from parley.engines.tts.speakable import MarkupSieve, speakable

FEWEST_WORDS = 4
"""A clause shorter than this is not worth a breath of its own."""

_CLAUSE_END = re.compile(r"(?:[,;:][\"'”’)\]]*|\s[–—-])\s$|[、，；：]$")
_IDEOGRAPHS_PER_WORD = 2
_LINE_CLOSERS = frozenset(".!?…:;,")
_LIST_OPENERS = frozenset("-*+•#>|0123456789")


class SpeechAggregator(SimpleTextAggregator):
    """Pipecat's sentence aggregator, with markup taken out and an ear for silence.

    While ``is_hurried`` says that little or nothing is left to play, the end of a clause is
    enough; a line that ends is the end of what it says, too.
    """

    def __init__(
        self,
        is_hurried: Callable[[], bool],
        language: str | None = None,
        tags: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(aggregation_type=TextType.SENTENCE, language=language)
        self._is_hurried = is_hurried
        self._tags = tags
        self._sieve = MarkupSieve(tags)

    async def aggregate(self, text: str) -> AsyncIterator[Aggregation]:
        for character in self._sieve.push(text):
            if self._ends_a_line(character):
                line = self._text
                await self._keep("")
                if cut := await self._spoken(line):
                    yield cut
            self._text += character
            sentence = await self._check_sentence_with_lookahead(character)
            if sentence is not None:
                if cut := await self._spoken(sentence.text):
                    yield cut
            elif self._ends_a_clause(character):
                clause = self._text
                await self._keep("")
                if cut := await self._spoken(clause):
                    yield cut

    async def flush(self) -> Aggregation | None:
        rest = self._text + self._sieve.flush()
        await self.reset()
        return await self._spoken(rest)

    async def handle_interruption(self) -> None:
        await super().handle_interruption()
        self._sieve.reset()

    async def reset(self) -> None:
        await super().reset()
        self._sieve.reset()

    async def _keep(self, text: str) -> None:
        """Start over with ``text``; the sieve goes on where it is."""
        await super().reset()
        self._text = text

    def _ends_a_line(self, next_character: str) -> bool:
        if next_character.isspace() or "\n" not in self._text:
            return False
        line, gap = self._text.rstrip(), self._text[len(self._text.rstrip()) :]
        if not line or "\n" not in gap:
            return False
        return gap.count("\n") > 1 or line[-1] in _LINE_CLOSERS or next_character in _LIST_OPENERS

    def _ends_a_clause(self, character: str) -> bool:
        is_candidate = character.isspace() or not character.isascii()
        if not is_candidate or not _CLAUSE_END.search(self._text[-6:]):
            return False
        words = len(self._text.split())
        if not self._text.isascii():
            words = max(words, len(self._text) // _IDEOGRAPHS_PER_WORD if words <= 1 else 0)
        return words >= FEWEST_WORDS and self._is_hurried()

    async def _spoken(self, text: str) -> Aggregation | None:
        text = await speakable(text, tags=self._tags)
        return Aggregation(text, TextType.SENTENCE) if text else None
