"""What is to be said, made ready for the talker: cleaned, with its pauses, in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from parley.engines.tts.orpheus.prompt import without_control_tokens

TAGS = frozenset({"laugh", "chuckle", "sigh", "cough", "sniffle", "groan", "yawn", "gasp"})
"""What the English model acts out where it stands in a text, as ``<laugh>``."""
LONGEST_PIECE = 300
SHORTEST_PIECE = 20
LONGEST_PAUSE_MS = 10_000
USUAL_PAUSE_MS = 500

_TAG = re.compile(r"<\s*(/?)\s*([A-Za-z][\w:-]*)([^<>]*)>|<!--.*?-->|<[!?][^<>]*>", re.DOTALL)
_TIME = re.compile(r"""time\s*=\s*["']?\s*(\d+(?:\.\d+)?)\s*(ms|s)""")
_LIKE = {"giggle": "chuckle", "laughs": "laugh", "laughter": "laugh", "sighs": "sigh"}
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|[。！？]+[」』”’）]*|[।॥]\s*")
_CLAUSE_END = re.compile(r"[,;:][\"'”’)\]]*\s+|\s[–—-]\s+|[、，；：]")
_SHORT_FORM = re.compile(
    r"(?:^|[\s(])(?:\w|Dr|Mr|Mrs|Ms|Prof|Sr|Jr|St|Mt|No|vs|approx|etc|Hr|Fr|Nr|bzw|ca|Sra|Mme|M"
    r"|\w\.\w)\.\s+$"
)


@dataclass(frozen=True, slots=True)
class Pause:
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Speech:
    """One request's worth of text."""

    text: str


Part = Speech | Pause


def parts_of(text: str, tags: frozenset[str] = TAGS) -> list[Part]:
    """The text as speech and pauses, in order. Nothing that can be said, no ``Speech``.

    ``tags`` are kept where they stand, ``<break time="500ms"/>`` becomes a pause, other markup
    and control tokens go.
    """
    text = without_control_tokens(text)
    parts: list[Part] = []
    said, at = "", 0
    for match in _TAG.finditer(text):
        said += text[at : match.start()]
        at = match.end()
        name = (match[2] or "").lower()
        name = _LIKE.get(name, name)
        if name == "break" and not match[1]:
            parts += _pieces(said, is_first=not parts)
            parts.append(Pause(_pause_ms(match[3])))
            said = ""
        elif name in tags and not match[1] and not match[3].strip(" /"):
            said += f" <{name}> "
        else:
            said += " "
    parts += _pieces(said + text[at:], is_first=not parts)
    return parts


def split_text(text: str, *, is_first: bool = True) -> list[str]:
    """Pieces of up to ``LONGEST_PIECE`` characters that end where a speaker would breathe.

    What fits into one stays whole; of more, the first piece is short, so that speech begins soon.
    """
    if len(text) <= LONGEST_PIECE:
        return [text]
    pieces: list[str] = []
    for unit in _units(text, is_first):
        is_opening = is_first and len(pieces) == 1 and len(pieces[0].strip()) >= SHORTEST_PIECE
        if pieces and not is_opening and len(pieces[-1]) + len(unit) <= LONGEST_PIECE:
            pieces[-1] += unit
        else:
            pieces.append(unit)
    if len(pieces) > 1 and len(pieces[-1].strip()) < SHORTEST_PIECE:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return [piece.strip() for piece in pieces if piece.strip()]


def _pieces(text: str, *, is_first: bool) -> list[Part]:
    text = " ".join(text.replace("<", " ").split()) if "<" not in text else _without_stray(text)
    if not any(map(str.isalnum, text)):
        return []
    return [Speech(piece) for piece in split_text(text, is_first=is_first)]


def _without_stray(text: str) -> str:
    """Brackets go that are no tag of the model's."""
    kept = re.sub(r"<(?!(?:\w+)>)|(?<!\w)>", " ", text)
    return " ".join(kept.split())


def _pause_ms(attributes: str) -> int:
    match = _TIME.search(attributes)
    if not match:
        return USUAL_PAUSE_MS
    duration_ms = float(match[1]) * (1000 if match[2] == "s" else 1)
    return min(round(duration_ms), LONGEST_PAUSE_MS)


def _units(text: str, is_first: bool) -> Iterator[str]:
    """Sentences; those too long, and the very first, in clauses; those still too long, in words."""
    for number, sentence in enumerate(_cut(text, _SENTENCE_END)):
        opens = is_first and number == 0
        if len(sentence) <= LONGEST_PIECE and not opens:
            yield sentence
            continue
        clauses = list(_cut(sentence, _CLAUSE_END))
        if opens and len(sentence) <= LONGEST_PIECE:
            clauses = _opening(clauses)
        for clause in clauses:
            yield from _words(clause)


def _opening(clauses: list[str]) -> list[str]:
    """The first clauses that are long enough to speak well by themselves, and the rest."""
    size = 0
    for number, clause in enumerate(clauses, 1):
        size += len(clause)
        if size >= SHORTEST_PIECE:
            return ["".join(clauses[:number]), "".join(clauses[number:])]
    return ["".join(clauses)]


def _cut(text: str, end: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in end.finditer(text):
        if _SHORT_FORM.search(text[max(start, match.start() - 12) : match.end()]):
            continue
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def _words(clause: str) -> Iterator[str]:
    while len(clause) > LONGEST_PIECE:
        space = clause.rfind(" ", SHORTEST_PIECE, LONGEST_PIECE)
        cut = space + 1 if space > 0 else LONGEST_PIECE
        yield clause[:cut]
        clause = clause[cut:]
    yield clause
