"""Makes a text safe to hand to eSpeak, and cuts it into clauses.

What must not be spoken is blanked with spaces of the same length, so that a position in what
eSpeak reads is the same position in the text as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

SHORTEST_CLAUSE = 12
DASHED_CLAUSE = 60
"""eSpeak makes no pause at a dash: it is a place to cut only where a cut is overdue."""
LONGEST_CLAUSE = 140

LAST_PAUSE_MS = 70
SENTENCE_PAUSE_MS = 400
CLAUSE_PAUSE_MS = 250
CUT_PAUSE_MS = 0

_TAG = re.compile(r"</?[A-Za-z!?][^<>]{0,200}>")
_LINK_TARGET = re.compile(r"\]\([^()\s]*\)")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_ENTITY_SOUNDS = {"&amp;": "&    ", "&apos;": "'     ", "&#39;": "'    ", "&percnt;": "%       "}
_MARKDOWN = re.compile(r"`+|~~+|(?<!\S)#{1,6}(?=\s)|(?<![\d\s])\*+|\*+(?![\d\s])|_+|\|+")
# A period that eSpeak would take for the end of a sentence though it only shortens a word.
_SHORT_FORM = re.compile(
    r"(?<!\w)(?:Dr|Mr|Mrs|Ms|Prof|Sr|Jr|St|Mt|Rev|Hon|Gen|Col|Capt|Lt|Sgt|vs|approx|e\.g|i\.e)"
    r"\.(?=\s)"
)
_SPEAKABLE_SYMBOLS = frozenset("%&@€$£¥+=°")
_KEPT_FORMATS = frozenset("\u200c\u200d")  # joiners shape words in Persian and Indic scripts

_SENTENCE_END = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+)")
_CLAUSE_END = re.compile(r"(?:[,;:][\"'”’)\]]*(?=\s)|[、，；：])")
_END = re.compile(f"{_SENTENCE_END.pattern}|{_CLAUSE_END.pattern}")
_DASH = re.compile(r"\s[–—-]+(?=\s)")


@dataclass(frozen=True, slots=True)
class Clause:
    """A run of the text: where it ends, what eSpeak is given for it and where that begins.

    ``pause_ms`` is the longest silence to leave behind it.
    """

    end: int
    spoken: str
    spoken_at: int
    pause_ms: int


def blank_unspeakable(text: str, language: str = "en") -> str:
    """The text with markup, emoji and control characters turned into spaces, length unchanged."""
    text = "".join(map(_spoken_character, text))
    text = _TAG.sub(_blank, text)
    text = _LINK_TARGET.sub(_blank, text)
    text = _ENTITY.sub(_spoken_entity, text)
    text = _MARKDOWN.sub(_blank, text)
    if language.startswith("en"):
        text = _SHORT_FORM.sub(_without_last_period, text)
    return text


def is_speakable(text: str) -> bool:
    """Whether anything in the text makes a sound."""
    return any(c.isalnum() or c in _SPEAKABLE_SYMBOLS for c in text)


def clauses_of(text: str, language: str = "en") -> list[Clause]:
    """Cut ``text`` (white space already single) into clauses that together are all of it.

    Every clause can be heard: what can't belongs to a neighbour. No clauses, no sound.
    """
    spoken = blank_unspeakable(text, language)
    if not is_speakable(spoken):
        return []
    clauses: list[Clause] = []
    start = 0
    while start < len(spoken):
        first_sound = _first_sound(spoken, start)
        end = _next_cut(spoken, first_sound)
        if not is_speakable(spoken[end:]):
            end = len(spoken)
        run = spoken[first_sound:end].rstrip()
        clauses.append(Clause(end, run, first_sound, _pause_after(run, end == len(spoken))))
        start = end
    return clauses


def _pause_after(run: str, is_last: bool) -> int:
    if is_last:
        return LAST_PAUSE_MS
    if _SENTENCE_END.search(run[-3:] + " "):
        return SENTENCE_PAUSE_MS
    if _CLAUSE_END.search(run[-3:] + " "):
        return CLAUSE_PAUSE_MS
    return CUT_PAUSE_MS


def _next_cut(text: str, start: int) -> int:
    """Where the clause that begins at ``start`` ends, the space behind it included."""
    limit = start + LONGEST_CLAUSE
    ends = _END.finditer(text, start + SHORTEST_CLAUSE - 1, limit)
    if end := next((m for m in ends if _ends_here(text, m)), None):
        return _past_space(text, end.end())
    if len(text) <= limit:
        return len(text)
    if dash := _DASH.search(text, start + DASHED_CLAUSE, limit):
        return _past_space(text, dash.end())
    space = text.rfind(" ", start + 1, limit)
    return space + 1 if space > start else limit


def _ends_here(text: str, match: re.Match[str]) -> bool:
    """A period inside ``p.m.`` or before a small letter goes on with the sentence."""
    if not match.group().startswith("."):
        return True
    rest = text[match.end() : match.end() + 8].lstrip()
    if rest[:1].islower():
        return False
    word = text[max(match.start() - 12, 0) : match.start()].rsplit(" ", 1)[-1]
    return len(word) > 1 and "." not in word


def _past_space(text: str, position: int) -> int:
    while position < len(text) and text[position] == " ":
        position += 1
    return position


def _first_sound(text: str, start: int) -> int:
    return next(i for i in range(start, len(text)) if is_speakable(text[i]))


def _spoken_character(character: str) -> str:
    if character < "\x7f":
        return character if character >= " " else " "
    if character in _KEPT_FORMATS:
        return character
    category = unicodedata.category(character)
    if category[0] == "C" or category in ("Me", "Sk") or "\ufe00" <= character <= "\ufe0f":
        return " "
    if category == "So" and character not in _SPEAKABLE_SYMBOLS:
        return " "
    return character


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _spoken_entity(match: re.Match[str]) -> str:
    return _ENTITY_SOUNDS.get(match.group(), " " * len(match.group()))


def _without_last_period(match: re.Match[str]) -> str:
    return match.group()[:-1] + " "
