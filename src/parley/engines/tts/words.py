"""A text as a row of words, so that sound can be matched to what it says."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\uff9f\U00020000-\U0003ffff"
# Scripts that put no space between words count each character as a word, together with the
# punctuation behind it; everywhere else a word reaches to the next space.
_WORD = re.compile(rf"[{_IDEOGRAPHS}][^\w\s]*|[^\s{_IDEOGRAPHS}]+")
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")


class WordRow:
    """The words of ``text``, whose white space is made single spaces first.

    A word owns the space behind it: ``row.between(0, len(row)) == row.text``.
    """

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        found = list(_WORD.finditer(self.text))
        self.starts = [match.start() for match in found]
        self._letters = list(accumulate(match.end() - match.start() for match in found))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def joins_without_spaces(self) -> bool:
        """Whether the text holds a script that is written without spaces."""
        return bool(_IDEOGRAPH.search(self.text))

    @property
    def letters(self) -> int:
        """How many characters the words have, spaces left out."""
        return self._letters[-1] if self._letters else 0

    def at(self, position: int) -> int:
        """The index of the word that holds the character at ``position``."""
        return max(bisect_right(self.starts, position) - 1, 0)

    def done_at(self, position: int) -> int:
        """How many words lie wholly before ``position``."""
        if position >= len(self.text):
            return len(self)
        return self.at(position)

    def done_after(self, letters: int) -> int:
        """How many words are complete once ``letters`` characters have been spoken."""
        return bisect_right(self._letters, letters)

    def between(self, first: int, last: int) -> str:
        """Words ``first`` to ``last`` (left out) as they stand in the text."""
        if first >= last:
            return ""
        end = self.starts[last] if last < len(self) else len(self.text)
        return self.text[self.starts[first] : end]


def letters_in(text: str) -> int:
    """How many characters ``text`` has, white space left out."""
    return sum(map(len, text.split()))
