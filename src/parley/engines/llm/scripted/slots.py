"""Slot types: which words can fill a slot, what value they stand for, and how that is said.

Values are plain text that tools can use: ``2026-03-03``, ``09:30``, ``Anna``, ``7``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from parley.core.spoken import SMALL_NUMBERS, TENS, spoken_date, spoken_time
from parley.engines.llm.scripted import days
from parley.engines.llm.scripted.automaton import Vocabulary
from parley.engines.llm.scripted.pattern import Either, Node, parse_pattern
from parley.engines.llm.scripted.words import FILLERS, LIGHT_WORDS

_LEAD_INS = frozenset(["about", "around", "at", "by", "for", "from", "is", "past", "to", "until"])

_NOT_A_NAME = """
again bye cancel goodbye hello help hey hi idea know mind never no nope not nothing pardon repeat
sorry stop thank thanks wait yeah yes yep
"""
_NO_NAMES = frozenset(_NOT_A_NAME.split())

_COMMON_NAMES = """
adam alex alice amy andrew anna anthony barbara brian carol caroline catherine charles charlotte
christine christopher claire daniel david edward elizabeth emily emma eric george hannah helen
henry jack jacob james jane jennifer jessica john joseph julia karen kevin laura linda lisa lucas
lucy margaret maria martin mary matthew michael michelle nancy nicholas nicole oliver olivia
patricia patrick paul peter rachel rebecca richard robert samuel sandra sarah simon sophia stephen
susan thomas tom victoria walter william
"""
COMMON_NAMES = tuple(name.capitalize() for name in _COMMON_NAMES.split())
"""First names that are no other word and that recognisers know."""


class SlotType(ABC):
    """What every kind of slot can do.

    ``said`` is the pattern for recognisers; the words in ``typed`` are understood as well.
    """

    answers: Sequence[str] = ()
    """How the slot is put into words when it is asked for; ``{}`` stands for the slot."""

    def __init__(self, said: Node, typed: Node | None = None) -> None:
        self.said = said
        self._vocabulary = Vocabulary(said if typed is None else Either((said, typed)))

    def ends(self, words: tuple[str, ...], start: int) -> tuple[int, ...]:
        """Where a filling that starts at word ``start`` can end, shortest first."""
        return self._vocabulary.ends(words, start)

    def stands_alone(self, words: tuple[str, ...], start: int, end: int, *, asked: bool) -> bool:
        """Whether these words fill the slot even where no pattern expects it."""
        return True

    @abstractmethod
    def value(self, words: tuple[str, ...], now: datetime) -> str | None:
        """The value these words stand for; None when there is none (the 31st of February)."""

    def spoken(self, value: str) -> str:
        return value

    def argument(self, value: Any) -> Any:
        """The value as tools get it."""
        return value

    def guess(self, words: tuple[str, ...], *, unasked: bool) -> str | None:
        """The value of an answer that holds none of the expected words, if it can be taken so.

        ``unasked`` means that something else was asked: only a plain correction counts then.
        """
        return None


class Day(SlotType):
    answers = ("[(on | how about | what about | maybe)] {}",)

    def __init__(self) -> None:
        super().__init__(parse_pattern(days.DAY_SAID), parse_pattern(days.DAY_TYPED))

    def ends(self, words: tuple[str, ...], start: int) -> tuple[int, ...]:
        if start < len(words) and days.is_iso_date(words[start]):
            return (start + 1,)
        return super().ends(words, start)

    def value(self, words: tuple[str, ...], now: datetime) -> str | None:
        day = days.day_meant(words, now.date())
        return None if day is None else day.isoformat()

    def spoken(self, value: str) -> str:
        return spoken_date(date.fromisoformat(value))


class TimeOfDay(SlotType):
    answers = ("[(at | around | how about | what about | maybe)] {}",)

    def __init__(self) -> None:
        super().__init__(parse_pattern(days.TIME_SAID), parse_pattern(days.TIME_TYPED))

    def stands_alone(self, words: tuple[str, ...], start: int, end: int, *, asked: bool) -> bool:
        # "the first one", "for ten people": a bare number is a time only if all else says so.
        if end - start > 1 or words[start] in ("noon", "midday", "midnight"):
            return True
        others = [*words[:start], *words[end:]]
        if start and words[start - 1] in _LEAD_INS:
            return asked or words[start - 1] in ("around", "at", "by", "until")
        return all(word in FILLERS for word in others) or (asked and words[start] != "one")

    def value(self, words: tuple[str, ...], now: datetime) -> str | None:
        at = days.time_meant(words)
        return None if at is None else at.isoformat("minutes")

    def spoken(self, value: str) -> str:
        return spoken_time(time.fromisoformat(value))


class Number(SlotType):
    answers = ("{}",)
    _ONES = " | ".join(SMALL_NUMBERS[1:10])
    _SAID = f"""
    ({" | ".join(SMALL_NUMBERS)} | ({" | ".join(TENS[2:])}) [({_ONES})])
    """
    _TYPED = f"""
    [({_ONES}) thousand [and]] [({_ONES}) hundred [and]] ({" | ".join(SMALL_NUMBERS)}
      | ({" | ".join(TENS[2:])}) [({_ONES})] | ({_ONES}) (hundred | thousand)
      | ({_ONES}) thousand ({_ONES}) hundred)
    """

    def __init__(self) -> None:
        super().__init__(parse_pattern(self._SAID), parse_pattern(self._TYPED))

    def stands_alone(self, words: tuple[str, ...], start: int, end: int, *, asked: bool) -> bool:
        return asked

    def value(self, words: tuple[str, ...], now: datetime) -> str | None:
        total = part = 0
        for word in words:
            if word == "hundred":
                part *= 100
            elif word == "thousand":
                total, part = total + part * 1000, 0
            elif word in TENS:
                part += TENS.index(word) * 10
            elif word != "and":
                part += SMALL_NUMBERS.index(word)
        return str(total + part)

    def argument(self, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdecimal() else value


class Choice(SlotType):
    """One of a script's own list of things, each with the ways of saying it."""

    answers = ("{}",)

    def __init__(self, options: Mapping[str, Sequence[Node]]) -> None:
        super().__init__(Either(tuple(node for nodes in options.values() for node in nodes)))
        self._options = {
            value: [Vocabulary(node) for node in nodes] for value, nodes in options.items()
        }

    def value(self, words: tuple[str, ...], now: datetime) -> str | None:
        return self.option(words)

    def option(self, words: tuple[str, ...]) -> str | None:
        """The option that these words name."""
        for value, vocabularies in self._options.items():
            if any(len(words) in each.ends(words, 0) for each in vocabularies):
                return value
        return None


class Person(Choice):
    """A name: of the script's list, or any other one when the caller was asked for it."""

    answers = ("[(my name is | it is | this is | for | i am)] {}",)
    _LEAD_IN = frozenset(
        ["am", "called", "for", "i", "is", "it", "my", "name", "no", "not", "the", "this"]
    )
    _LONGEST = 3

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__({name: (parse_pattern(name),) for name in names})

    def guess(self, words: tuple[str, ...], *, unasked: bool) -> str | None:
        if unasked and "name" not in words:
            return None
        rest = [word for word in words if word not in FILLERS]
        while rest and rest[0] in self._LEAD_IN:
            rest.pop(0)
        if not 0 < len(rest) <= self._LONGEST:
            return None
        if any(word in LIGHT_WORDS or word in _NO_NAMES for word in rest):
            return None
        return " ".join(word.capitalize() for word in rest) if _are_letters(rest) else None


def _are_letters(words: Sequence[str]) -> bool:
    numbers = {*SMALL_NUMBERS, *TENS}
    return all(word.isalpha() and word not in numbers for word in words)


class YesNo(Choice):
    """An answer to a question such as "Shall I book it?"; recognisers expect the commonest ones."""

    answers = ("{}",)
    HEARD = (
        "yes [please]",
        "(yeah | sure | correct | of course | okay)",
        "[yes] that is (right | correct | fine)",
        "(no | nope)",
        "no that is (wrong | not right)",
    )
    _YES = (
        "(yes | yeah | yep | sure | correct | perfect | exactly | absolutely | definitely"
        " | of course | go ahead | please do) [please]",
        "(yes | yeah) (sure | correct | please do | that is (right | correct | fine | good)"
        " | i would | i do | it is | go ahead)",
        "that is (right | correct | fine | good | perfect)",
        "that (works | would be (great | good | fine | perfect | lovely)) [for me]",
        "sounds (good | great | fine)",
        "(okay | right | fine | great | good | please)",
    )
    _NO = (
        "(no | nope | not really | not yet | no way)",
        "no (thanks | thank you | not really | i do not | it is not | do not)",
        "[no] that is (wrong | not right | not correct)",
        "(do not | please do not) [do that]",
        "i do not (want | think so) [that | to]",
    )
    _WEAK = frozenset(["fine", "good", "great", "okay", "please", "right"])

    def __init__(self) -> None:
        super().__init__({
            "yes": [parse_pattern(text) for text in self._YES],
            "no": [parse_pattern(text) for text in self._NO],
        })  # fmt: skip
        self.said = Either(tuple(parse_pattern(text) for text in self.HEARD))

    def stands_alone(self, words: tuple[str, ...], start: int, end: int, *, asked: bool) -> bool:
        if self._WEAK.issuperset(words[start:end]):
            return all(word in FILLERS or word in self._WEAK for word in words)
        return "not" not in (*words[:start], *words[end:])


BUILT_IN: Mapping[str, Callable[[], SlotType]] = {
    "day": Day, "number": Number, "time": TimeOfDay,
}  # fmt: skip
"""Types that need nothing from the script."""
