"""Finding a pattern in what was said, though words are missing, extra or in between.

Each way of laying a pattern over the words has a score: the weight of the words that fit, less
the weight of pattern words that were not said, less half the weight of words skipped in between.
A sentence that a pattern describes exactly scores the whole weight of its words, and no pattern
that doesn't describe it can reach as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from parley.engines.llm.scripted.automaton import Automaton
from parley.engines.llm.scripted.words import is_telling, weight

Ends = Callable[[str, int], tuple[int, ...]]
"""``ends(slot, at)``: where the slot can end if it starts at word ``at``."""

MISSING_SHARE = 0.25
"""The share of a pattern that may go unsaid."""

_SKIPPED_COST = 0.5
_SURE_WEIGHT = 2.0
_SURE_SHARE = 0.4
_FREE_TO_SKIP = 0.2
_NEARLY = 1e-6


@dataclass(frozen=True, slots=True)
class Fit:
    """One way of laying a pattern over an utterance: words ``start`` to ``end``."""

    score: float
    matched: float
    missing: float
    skipped: float
    start: int
    end: int
    is_telling: bool
    slots: Mapping[str, tuple[int, int]]

    @property
    def is_exact(self) -> bool:
        return self.missing == 0 and self.skipped == 0


# score, matched, missing, skipped, start, end, is_telling, slots. Thousands are made for one
# utterance: tuples are made twice as fast as objects.
_Path = tuple[
    float, float, float, float, int, int, bool, tuple[tuple[str, int, int], ...]
]  # fmt: skip


class Utterance:
    """The words of a turn with their weights; patterns are laid over it."""

    def __init__(self, words: tuple[str, ...], ends: Ends) -> None:
        self.words = words
        self.weights = tuple(weight(word) for word in words)
        self._sums = [0.0]
        for each in self.weights:
            self._sums.append(self._sums[-1] + each)
        self._ends = ends
        self._known = frozenset(words)
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self.telling_weight = sum(
            each for word, each in zip(words, self.weights, strict=True) if is_telling(word)
        )

    def weight_of(self, start: int, end: int) -> float:
        return self._sums[end] - self._sums[start]

    def best_fit(self, pattern: Automaton) -> Fit | None:
        """The best way of laying the pattern over the words, if it is good enough to believe."""
        most_missing = self._most_missing(pattern)
        fillable = [name for name in pattern.slots if self._slot_spans(name)]
        if pattern.least_missing(self._known, fillable) > most_missing + _NEARLY:
            return None
        best: _Path | None = None
        rows: list[list[_Path | None]] = [
            [None] * len(pattern.states) for _ in range(len(self.words) + 1)
        ]
        for at in range(len(self.words) + 1):
            rows[at][0] = (0.0, 0.0, 0.0, 0.0, at, at, False, ())
            self._walk(pattern, rows, at, most_missing)
            path = rows[at][pattern.last]
            if path is not None and self._is_believable(path) and _beats(path, best):
                best = path
        return None if best is None else _fit(best)

    def _most_missing(self, pattern: Automaton) -> float:
        """How much of the pattern may go unsaid, if every word that could fit it does."""
        covered = {
            at
            for name in pattern.slots
            for start, end in self._slot_spans(name)
            for at in range(start, end)
        }
        could_match = sum(
            each
            for at, (word, each) in enumerate(zip(self.words, self.weights, strict=True))
            if word in pattern.keys or at in covered
        )
        return could_match * MISSING_SHARE / (1 - MISSING_SHARE)

    def _slot_spans(self, name: str) -> list[tuple[int, int]]:
        """The longest filling of the slot at each place."""
        if name not in self._spans:
            ends = [self._ends(name, at) for at in range(len(self.words))]
            self._spans[name] = [(at, max(each)) for at, each in enumerate(ends) if each]
        return self._spans[name]

    def _walk(
        self, pattern: Automaton, rows: list[list[_Path | None]], at: int, most_missing: float
    ) -> None:
        row = rows[at]
        word = self.words[at] if at < len(self.words) else None
        for number, state in enumerate(pattern.states):
            path = row[number]
            if path is None:
                continue
            for to in state.free:
                _offer(row, to, path)
            for edge in state.words:
                if path[2] + edge.weight <= most_missing + _NEARLY:
                    _offer(row, edge.to, _miss(path, edge.weight))
                if word == edge.key:
                    _offer(rows[at + 1], edge.to, self._take(path, at, at + 1, edge.is_telling))
            for slot in state.slots:
                for end in self._ends(slot.name, at) if word is not None else ():
                    taken = self._take(path, at, end, True, slot.name)
                    _offer(rows[end], slot.to, taken)
            # A skipped word never follows the last one that fits: the pattern ends there.
            if word is not None and path[1] and number != pattern.last:
                _offer(rows[at + 1], number, self._skip(path, at))

    def _take(self, path: _Path, start: int, end: int, telling: bool, slot: str = "") -> _Path:
        score, matched, missing, skipped, begun, _, was_telling, slots = path
        gained = self.weight_of(start, end)
        return (
            score + gained, matched + gained, missing, skipped, begun if matched else start, end,
            was_telling or telling, (*slots, (slot, start, end)) if slot else slots,
        )  # fmt: skip

    def _skip(self, path: _Path, at: int) -> _Path:
        score, matched, missing, skipped, start, end, telling, slots = path
        cost = 0.0 if self.weights[at] < _FREE_TO_SKIP else self.weights[at] * _SKIPPED_COST
        return (score - cost, matched, missing, skipped + cost, start, end, telling, slots)

    def _is_believable(self, path: _Path) -> bool:
        _, matched, missing, skipped, _, _, telling, _ = path
        if not matched or skipped > matched / 2:
            return False
        if not telling:
            return missing == 0 and skipped == 0
        if missing > MISSING_SHARE * (matched + missing) + _NEARLY:
            return False
        return matched >= _SURE_WEIGHT or matched >= _SURE_SHARE * self.telling_weight


def _miss(path: _Path, cost: float) -> _Path:
    score, matched, missing, skipped, start, end, telling, slots = path
    return (score - cost, matched, missing + cost, skipped, start, end, telling, slots)


def _offer(row: list[_Path | None], state: int, path: _Path) -> None:
    if _beats(path, row[state]):
        row[state] = path


def _beats(path: _Path, other: _Path | None) -> bool:
    if other is None:
        return True
    # Sums of tenths differ in their last bits; such a difference is none.
    if abs(path[0] - other[0]) > _NEARLY:
        return path[0] > other[0]
    return path[2] + path[3] < other[2] + other[3] - _NEARLY


def _fit(path: _Path) -> Fit:
    score, matched, missing, skipped, start, end, telling, slots = path
    places = {name: (begin, stop) for name, begin, stop in slots}
    return Fit(score, matched, missing, skipped, start, end, telling, places)
