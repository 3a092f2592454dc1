"""Parts a reply that streams in into words for the caller and tool calls; the rest goes away.

Text passes at once; only what may be the beginning of a call, a tag or a control token waits
until that is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from parley.engines.llm.loose_json import LONGEST, BracketScanner
from parley.engines.llm.reply_marks import (
    BRACKET_MARKS,
    FENCE,
    TAG_NAMES,
    Holds,
    Mark,
    bracket_mark,
    harmony_body,
    tag_mark,
    token_mark,
)
from parley.engines.llm.written_calls import OfferedTools, calls_in, calls_in_code
from parley.engines.spec import ToolRequest, ToolSchema

Finding = str | ToolRequest

_LONGEST_TAG = 200
_LONGEST_TOKEN = 60
_LONGEST_CODE = 2000

_TAG = re.compile(r"</?([A-Za-z_]*)")
_TOKEN = re.compile(r"<[|｜][^<>\n]*?[|｜]>")
_JSON_START = re.compile(r"\{\s*(?:[\"'“{}\[]|[A-Za-z_]\w*\s*:)|\[\s*[\"'“{]")
_MAY_BE_JSON = re.compile(r"\{\s*(?:[A-Za-z_]\w*\s*)?|\[\s*")
_CODE_NAME = re.compile(r"\[?\s*([A-Za-z_]\w*)")
_LINE_START = re.compile(r"(?:\A|\n)[ \t]*\Z")


class _Wait(Exception):
    """What is in the buffer may go on to be something; more must come."""


class ReplySieve:
    """One reply. ``has_dropped`` says whether anything was kept from being spoken."""

    def __init__(self, tools: Sequence[ToolSchema]) -> None:
        self._tools = OfferedTools(tools)
        self._buffer: str = ""
        self._line: str = ""
        self._mark: Mark | None = None
        self._kept: str = ""
        self._scanner: BracketScanner | None = None
        self._is_code = False
        self.has_dropped = False
        self.has_ended = False

    def mended(self, request: ToolRequest) -> ToolRequest:
        return self._tools.mended(request)

    def push(self, text: str) -> Iterator[Finding]:
        """What is known now: words and calls, in their order."""
        self._buffer += text
        while self._buffer and not self.has_ended:
            try:
                if self._mark is not None:
                    yield from self._in_mark(self._mark)
                elif self._scanner is not None:
                    yield from self._in_brackets(self._scanner)
                else:
                    yield from self._in_text()
            except _Wait:
                return

    def end(self) -> Iterator[Finding]:
        """What was still held. What is open closes here: models forget the last bracket."""
        held, self._buffer = self._buffer, ""
        if self.has_ended:
            return
        if self._mark is not None:
            mark, self._mark = self._mark, None
            yield from self._closed(mark, self._kept + held)
        elif self._scanner is not None:
            yield from self._brackets_closed(self._kept + held)
            if self._buffer:
                yield from self.push("")
                yield from self.end()
        elif re.match(r"</?\w{2,}|<[|｜]|```", held):
            self.has_dropped = True
        elif held:
            yield held

    # ── words ────────────────────────────────────────────────────────────────────────────

    def _in_text(self) -> Iterator[Finding]:
        """Pass on words up to the next thing that is none, and open that."""
        at = 0
        text = self._buffer
        try:
            while at < len(text):
                opened = self._opens(text, at)
                if opened:
                    break
                at += 1
        except _Wait:
            if at:
                yield self._pass(at)
            raise
        if at:
            yield self._pass(at)
        if at < len(text):
            self._open()

    def _pass(self, until: int) -> str:
        words, self._buffer = self._buffer[:until], self._buffer[until:]
        self._line = (self._line + words)[-80:]
        return words

    def _opens(self, text: str, at: int) -> bool:
        """Whether something that is not for the caller starts at ``at``; may raise ``_Wait``."""
        character = text[at]
        if character == "<":
            return self._opens_tag(text, at)
        if character == "`":
            return _starts(text, at, ("```",))
        if character in "{[":
            return self._opens_bracket(text, at)
        if character.isalpha() or character == "_":
            return self._opens_code(text, at) if self._is_line_start(text, at) else False
        return False

    def _opens_tag(self, text: str, at: int) -> bool:
        rest = text[at : at + _LONGEST_TAG]
        if rest in ("<", "</"):
            raise _Wait
        if rest[1] in "|｜":
            return self._opens_token(rest)
        found = _TAG.match(rest)
        name = found[1].lower() if found else ""
        if found and name and found.end() == len(rest):
            if any(known.startswith(name) for known in TAG_NAMES):
                raise _Wait
            return False
        end = re.search(r"[<>]", rest[1:])
        if name not in TAG_NAMES or end:
            return name in TAG_NAMES and end is not None and end[0] == ">"
        if len(rest) < _LONGEST_TAG:
            raise _Wait
        return False

    def _opens_token(self, rest: str) -> bool:
        if _TOKEN.match(rest):
            return True
        if len(rest) < _LONGEST_TOKEN and not re.search(r"[<>\n]", rest[1:]):
            raise _Wait
        return False

    def _opens_bracket(self, text: str, at: int) -> bool:
        if text[at] == "[" and _starts(text, at, BRACKET_MARKS, waits=False):
            return True
        if _JSON_START.match(text, at):
            return True
        if text[at] == "[" and self._opens_code(text, at):
            return True
        may_be = _MAY_BE_JSON.match(text, at)
        if may_be and may_be.end() == len(text) and len(text) - at < _LONGEST_TOKEN:
            raise _Wait
        if text[at] == "[":
            _starts(text, at, BRACKET_MARKS)
        return False

    def _opens_code(self, text: str, at: int) -> bool:
        """Whether an offered tool is called as in Python: ``clock()``, ``[clock()]``."""
        found = _CODE_NAME.match(text, at)
        if not found:
            return False
        if found.end() < len(text):
            return text[found.end()] == "(" and self._tools.find(found[1]) is not None
        name = found[1].lower()
        if any(known.lower().startswith(name) for known in self._tools.names):
            raise _Wait
        return False

    def _is_line_start(self, text: str, at: int) -> bool:
        if at and not text[at - 1].isspace():
            return False
        return bool(_LINE_START.search(self._line + text[:at]))

    # ── what is none ─────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        """Go into what the buffer starts with."""
        text = self._buffer
        bracket = bracket_mark(text)
        if bracket:
            self._enter(bracket[1], len(bracket[0]))
        elif text.startswith("```"):
            self._enter(FENCE, 3)
        elif token := _TOKEN.match(text):
            self._enter(token_mark(token[0]), token.end())
        elif text[0] == "<":
            end = text.index(">") + 1
            found = _TAG.match(text)
            self._enter(tag_mark(text[:end], found[1] if found else ""), end)
        else:
            self._scanner = BracketScanner()
            self._is_code = text[0] not in "{[" or not _JSON_START.match(text)
            self._kept = ""
            if text[0] not in "{[":
                name_ends = text.index("(")
                self._kept, self._buffer = text[:name_ends], text[name_ends:]

    def _enter(self, mark: Mark, length: int) -> None:
        self._buffer = self._buffer[length:]
        self._kept = ""
        self.has_dropped = True
        if mark.holds is Holds.END:
            self.has_ended = True
        elif mark.holds is not Holds.NOTHING:
            self._mark = mark

    def _in_mark(self, mark: Mark) -> Iterator[Finding]:
        text = self._kept + self._buffer
        closers = (*mark.closers, *mark.stays)
        found = [(place, closer) for closer in closers if (place := text.find(closer)) >= 0]
        if not found:
            # A closer may be cut in two: so much of the end is looked at again.
            keeps = LONGEST if mark.holds is not Holds.SILENCE else 40
            self._kept, self._buffer = text[-keeps:] if keeps != LONGEST else text[:keeps], ""
            raise _Wait
        place, closer = min(found)
        self._buffer = text[place + (0 if closer in mark.stays else len(closer)) :]
        self._mark, self._kept = None, ""
        yield from self._closed(mark, text[:place])

    def _closed(self, mark: Mark, inside: str) -> Iterator[Finding]:
        if mark.holds is Holds.CALLS:
            yield from calls_in(inside, self._tools, mark.name)
        elif mark.holds is Holds.HEADER:
            self._mark = harmony_body(inside)

    def _in_brackets(self, scanner: BracketScanner) -> Iterator[Finding]:
        for place, character in enumerate(self._buffer):
            if scanner.closes_with(character):
                inside = self._kept + self._buffer[: place + 1]
                self._buffer = self._buffer[place + 1 :]
                yield from self._brackets_closed(inside)
                return
        self._kept += self._buffer
        self._buffer = ""
        if self._is_code and len(self._kept) > _LONGEST_CODE:
            yield from self._brackets_closed(self._kept)
        self._kept = self._kept[:LONGEST]

    def _brackets_closed(self, inside: str) -> Iterator[Finding]:
        """Words in brackets that only looked like code are words after all; JSON never is."""
        self._scanner, self._kept = None, ""
        read = calls_in_code if self._is_code else calls_in
        calls = read(inside, self._tools)
        if calls or not self._is_code:
            self.has_dropped = True
            yield from calls
        else:
            # What else stands in the brackets is looked at like all other text.
            opened = inside.find("(" if "(" in inside else "[") + 1
            self._buffer = inside[opened:] + self._buffer
            self._line = inside[:opened]
            yield inside[:opened]


def _starts(text: str, at: int, openers: Sequence[str], *, waits: bool = True) -> bool:
    """Whether one of them starts at ``at``. Raises ``_Wait`` while it could come to that."""
    if any(text.startswith(opener, at) for opener in openers):
        return True
    rest = text[at : at + 20]
    if waits and any(opener.startswith(rest) for opener in openers):
        raise _Wait
    return False
