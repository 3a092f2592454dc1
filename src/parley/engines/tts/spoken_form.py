"""A text as it is written and as it is said, and which place in one is which in the other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from parley.engines.tts.english import RULES

_TAG = re.compile(r"<[^<>]*>")
# Emoji and their parts, dingbats, box drawings, private use.
_PICTURES = re.compile(
    "[\U0001f000-\U0001faff\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\ue000-\uf8ff\ufe0e\ufe0f\u20e3"
    "\U000e0020-\U000e007f]+(?:\u200d[\U0001f000-\U0001faff\u2600-\u27bf]\ufe0f?)*"
)
_BULLET = re.compile(r"(?:(?<=\s)|^)[•‣◦·▪]\s")
_SCHEME = re.compile(r"\bhttps?://(?:www\.)?", re.IGNORECASE)
_LONGEST = 5000
_STOPS = frozenset(",.!?;:")


@dataclass(frozen=True, slots=True)
class _Said:
    """Characters ``start`` to ``end`` of the written text are said as ``words``."""

    start: int
    end: int
    words: str


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A run of the spoken text, and where it stands in the written one."""

    spoken_at: int
    written_at: int
    is_said: bool


@dataclass(frozen=True, slots=True)
class SpokenForm:
    """``written`` and ``spoken`` have single spaces; places are characters in them."""

    written: str
    spoken: str
    stretches: tuple[_Stretch, ...] = ()

    def written_at(self, spoken_at: int) -> int:
        """The place in ``written``; inside what is said in other words, where that begins."""
        last = None
        for stretch in self.stretches:
            if stretch.spoken_at > spoken_at:
                break
            last = stretch
        if last is None:
            return min(spoken_at, len(self.written))
        if last.is_said:
            return last.written_at
        return min(last.written_at + spoken_at - last.spoken_at, len(self.written))


def as_written(text: str) -> SpokenForm:
    """A text that is said as it stands."""
    plain = " ".join(text.split())
    return SpokenForm(plain, plain)


def spoken_form(text: str, language: str = "en") -> SpokenForm:
    """How ``text`` is said. In languages other than English only pictures and URL schemes go."""
    written = " ".join(text.split())
    if len(written) > _LONGEST:
        return SpokenForm(written, written)
    said = _all_said(written, is_english=not language or language.lower().startswith("en"))
    if not said:
        return SpokenForm(written, written)
    return _put_together(written, said)


def _all_said(text: str, *, is_english: bool) -> list[_Said]:
    """The places that are said otherwise, in order; earlier rules come first."""
    taken = [_Said(m.start(), m.end(), m[0]) for m in _TAG.finditer(text)]
    tags = len(taken)
    for pattern, words in ((_PICTURES, ""), (_BULLET, "")):
        taken += [_Said(m.start(), m.end(), words) for m in pattern.finditer(text)]
    if not is_english:
        taken += [_Said(m.start(), m.end(), "") for m in _SCHEME.finditer(text)]
    elif any(not (c.isalpha() or c in " ,!?'") for c in text):
        for rule in RULES:
            for found in rule.pattern.finditer(text):
                if any(s.start < found.end() and found.start() < s.end for s in taken):
                    continue
                words = rule.say(found)
                if words is not None:
                    taken.append(_Said(found.start(), found.end(), words))
    return sorted(taken[tags:], key=lambda each: each.start)


def _put_together(written: str, said: list[_Said]) -> SpokenForm:
    spoken = ""
    stretches: list[_Stretch] = []
    at = 0
    for each in said:
        spoken = _append(spoken, written[at : each.start], at, stretches, is_said=False)
        spoken = _append(spoken, each.words, each.start, stretches, is_said=True)
        at = each.end
    spoken = _append(spoken, written[at:], at, stretches, is_said=False)
    return SpokenForm(written, spoken.rstrip(), tuple(stretches))


def _append(
    spoken: str, text: str, written_at: int, stretches: list[_Stretch], *, is_said: bool
) -> str:
    """Add a run, without the second space or full stop that a change has left behind."""
    if not is_said and spoken.endswith(".") and text.startswith("."):
        text, written_at = text[1:], written_at + 1
    if not is_said and text[:1] in _STOPS:
        spoken = spoken.rstrip() if text else spoken
    if spoken == "" or spoken.endswith(" "):
        plain = text.lstrip()
        written_at += 0 if is_said else len(text) - len(plain)
        text = plain
    if text:
        stretches.append(_Stretch(len(spoken), written_at, is_said))
    return spoken + text
