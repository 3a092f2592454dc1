"""Making sense of one utterance: which intents fit it, and what it holds for slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from parley.engines.llm.scripted.automaton import Automaton
from parley.engines.llm.scripted.matching import Fit, Utterance
from parley.engines.llm.scripted.script import Intent, Script
from parley.engines.llm.scripted.slots import SlotType, YesNo
from parley.engines.llm.scripted.words import FILLERS, MAX_LETTERS, words_of

_REMEMBERED_UTTERANCES = 1024
_ASIDE_SHARE = 0.6

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class IntentFit:
    """An intent that fits an utterance, in the best of its patterns."""

    intent: Intent
    fit: Fit
    words: tuple[str, ...]

    def slot_words(self) -> Mapping[str, tuple[str, ...]]:
        return {name: self.words[start:end] for name, (start, end) in self.fit.slots.items()}


class Heard:
    """One utterance as the script understands it. The same for every state of the dialogue."""

    def __init__(self, words: tuple[str, ...], ears: Listener) -> None:
        self.words = words
        self._ears = ears
        self._ends: dict[tuple[SlotType, int], tuple[int, ...]] = {}
        self._spans: dict[tuple[SlotType, bool], list[Span]] = {}
        utterance = Utterance(words, self._slot_ends)
        self._utterance = utterance
        found = [
            IntentFit(intent, fit, words)
            for intent in ears.script.intents.values()
            if (fit := _best(utterance, intent.automata)) is not None
        ]
        found.sort(key=_rank)
        self.fits: Sequence[IntentFit] = sorted(found, key=partial(_is_beside_the_point, found))

    @property
    def is_silence(self) -> bool:
        return all(word in FILLERS for word in self.words)

    def weight_of(self, spans: Sequence[Span]) -> float:
        return sum(self._utterance.weight_of(start, end) for start, end in spans)

    def spans(self, type_: SlotType, *, asked: bool) -> list[Span]:
        """Runs of words that fill a slot of this type wherever they stand."""
        key = (type_, asked)
        if key not in self._spans:
            self._spans[key] = self._find_spans(type_, asked=asked)
        return self._spans[key]

    def _find_spans(self, type_: SlotType, *, asked: bool) -> list[Span]:
        found: list[Span] = []
        at = 0
        while at < len(self.words):
            end = max(self._ends_of(type_, at), default=0)
            if end and type_.stands_alone(self.words, at, end, asked=asked):
                found.append((at, end))
                at = end
            else:
                at += 1
        return found

    def yes_or_no(self) -> tuple[str, float]:
        """``yes`` or ``no`` with the weight of the words that say so; no wins. "" for neither."""
        yes_no = self._ears.yes_no
        spans = self.spans(yes_no, asked=True)
        says = {yes_no.option(self.words[start:end]) for start, end in spans}
        verdict = "no" if "no" in says else "yes" if says else ""
        return verdict, self.weight_of(spans)

    def aside(self, main: IntentFit) -> IntentFit | None:
        """Another intent in the words before or after the main one."""
        rests = (self.words[: main.fit.start], self.words[main.fit.end :])
        asides = [
            aside
            for rest in rests
            if rest
            for aside in self._ears.hear(rest).fits[:1]
            if aside.intent is not main.intent
            and not aside.intent.is_courtesy
            and not aside.intent.only_idle
            and aside.fit.missing == 0
            and aside.fit.score >= _ASIDE_SHARE * Utterance(rest, _no_ends).telling_weight
        ]
        return min(asides, key=_rank, default=None)

    def _slot_ends(self, name: str, at: int) -> tuple[int, ...]:
        return self._ends_of(self._ears.script.slots[name].type, at)

    def _ends_of(self, type_: SlotType, at: int) -> tuple[int, ...]:
        key = (type_, at)
        if key not in self._ends:
            self._ends[key] = type_.ends(self.words, at)
        return self._ends[key]


class Listener:
    """Understands utterances by one script and remembers those it understood lately."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.yes_no = YesNo()
        self.hear = lru_cache(_REMEMBERED_UTTERANCES)(self._hear)
        self._listen = lru_cache(_REMEMBERED_UTTERANCES)(self._hear_text)

    def listen(self, text: str) -> Heard:
        # A book that was pasted into a chat must not stay in memory.
        return self._listen(text[:MAX_LETTERS])

    def _hear_text(self, text: str) -> Heard:
        return self.hear(words_of(text))

    def _hear(self, words: tuple[str, ...]) -> Heard:
        return Heard(words, self)


def _best(utterance: Utterance, automata: Sequence[Automaton]) -> Fit | None:
    fits = [fit for each in automata if (fit := utterance.best_fit(each)) is not None]
    return min(fits, key=lambda fit: (-round(fit.score, 6), fit.missing, fit.start), default=None)


def _is_beside_the_point(found: Sequence[IntentFit], one: IntentFit) -> bool:
    """A "thank you" next to a question is no answer to what the caller wants."""
    return one.intent.is_courtesy and any(
        not other.intent.is_courtesy
        and (other.fit.end <= one.fit.start or one.fit.end <= other.fit.start)
        for other in found
    )


def _rank(found: IntentFit) -> tuple[float, float]:
    return (-round(found.fit.score, 6), found.fit.missing)


def _no_ends(name: str, at: int) -> tuple[int, ...]:
    return ()
