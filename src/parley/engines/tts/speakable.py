"""Takes out of a reply what must never be read aloud: code blocks, JSON, tags, markdown."""

from __future__ import annotations

import re
from enum import Enum, auto

from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.utils.text.transforms.strip_markdown import strip_markdown

_FENCE_LENGTH = 3
_LONGEST_TAG = 300
_TAG_NAME = re.compile(r"<([A-Za-z]+)[\s/>]")
_LEFT_OVER = re.compile(
    r"`+|~~+|__+|(?<![\w*])_(?=\w)|(?<=\w)_(?![\w_])"  # code, struck through, underlined
    r"|\*{2,}|(?<!\S)\*(?=\w)|(?<=[\w.,!?;:])\*(?!\S)"  # bold and italic that lost its partner
    r"|(?<!\S)#{1,6}(?=\s)|\|"  # headings and tables
)


async def speakable(
    text: str,
    text_type: TextType | str = TextType.SENTENCE,
    tags: frozenset[str] = frozenset(),
) -> str:
    """The text as it can be spoken, white space single; "" when nothing of it can.

    It has the form of Pipecat's text transforms. ``tags`` are kept: the engine acts them out.
    """
    sieve = MarkupSieve(tags)
    text = await strip_markdown(sieve.push(text) + sieve.flush(), text_type)
    text = " ".join(_LEFT_OVER.sub(" ", text).split())
    return text if any(map(str.isalnum, text)) else ""


class _Inside(Enum):
    TEXT = auto()
    FENCE = auto()
    JSON = auto()
    JSON_STRING = auto()
    TAG = auto()


class MarkupSieve:
    """Lets a text that comes in pieces through, without its code blocks, JSON and tags.

    ``tags`` names those that pass; small letters.
    """

    def __init__(self, tags: frozenset[str] = frozenset()) -> None:
        self._tags = tags
        self.reset()

    def reset(self) -> None:
        self._inside: _Inside = _Inside.TEXT
        self._held: str = ""
        self._fence: str = ""
        self._depth: int = 0
        self._is_escaped: bool = False

    def push(self, text: str) -> str:
        """What of ``text`` can pass already; an opening that may become markup waits."""
        return "".join(map(self._take, text))

    def flush(self) -> str:
        """What waited in vain for the rest of its markup."""
        is_text = self._inside in (_Inside.TEXT, _Inside.TAG)
        held = self._held
        self.reset()
        return held if is_text else ""

    def _take(self, character: str) -> str:
        match self._inside:
            case _Inside.TEXT:
                return self._in_text(character)
            case _Inside.FENCE:
                return self._in_fence(character)
            case _Inside.TAG:
                return self._in_tag(character)
            case _Inside.JSON:
                return self._in_json(character)
            case _Inside.JSON_STRING:
                return self._in_json_string(character)

    def _in_text(self, character: str) -> str:
        if not self._held:
            if character in "`~<{[":
                self._held = character
                return ""
            return character
        opening = self._held[0]
        if opening in "`~":
            return self._after_fence_mark(character)
        if opening == "<":
            if character.isascii() and (character.isalpha() or character in "/!?"):
                self._held += character
                self._inside = _Inside.TAG
                return ""
            return self._let_go(character)
        return self._after_bracket(character)

    def _after_fence_mark(self, character: str) -> str:
        if character != self._held[0]:
            return self._let_go(character)
        self._held += character
        if len(self._held) == _FENCE_LENGTH:
            self._fence = self._held
            self._held = ""
            self._inside = _Inside.FENCE
        return ""

    def _after_bracket(self, character: str) -> str:
        if character.isspace():
            self._held += character
            return ""
        opening = self._held[0]
        if character not in ('"}{' if opening == "{" else '"{'):
            return self._let_go(character)
        self._held = ""
        self._inside = _Inside.JSON
        self._depth = 1
        return self._in_json(character)

    def _let_go(self, character: str) -> str:
        """The opening was plain text after all; the next character may open something."""
        held, self._held = self._held, ""
        return held + self._in_text(character)

    def _in_fence(self, character: str) -> str:
        self._held = self._held + character if character == self._fence[0] else ""
        return self._leave() if self._held == self._fence else ""

    def _in_tag(self, character: str) -> str:
        if character == ">":
            tag = self._held + character
            name = _TAG_NAME.match(tag)
            self._leave()
            return tag if name and name[1].lower() in self._tags else " "
        self._held += character
        if character == "<" or len(self._held) > _LONGEST_TAG:
            held, self._held, self._inside = self._held, "", _Inside.TEXT
            return held[:-1] + self._in_text(character)
        return ""

    def _in_json(self, character: str) -> str:
        if character == '"':
            self._inside = _Inside.JSON_STRING
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            if self._depth == 0:
                return self._leave()
        return ""

    def _in_json_string(self, character: str) -> str:
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._inside = _Inside.JSON
        return ""

    def _leave(self) -> str:
        self._held = ""
        self._inside = _Inside.TEXT
        return " "
