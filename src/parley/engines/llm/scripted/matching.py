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


@dataclass(slots=True)
class _Path:
    score: float
    matched: float
    missing: float
    skipped: float
    start: int
    end: int
    is_telling: bool
    slots: tuple[tuple[str, int, int], ...]


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
        self.telling_weight = sum(
            each for word, each in zip(words, self.weights, strict=True) if is_telling(word)
        )

    def weight_of(self, start: int, end: int) -> float:
        return self._sums[end] - self._sums[start]

    def best_fit(self, pattern: Automaton) -> Fit | None:
        """The best way of laying the pattern over the words, if it is good enough to believe."""
        if not self._could_fit(pattern):
            return None
        best: _Path | None = None
        rows: list[list[_Path | None]] = [
            [None] * len(pattern.states) for _ in range(len(self.words) + 1)
        ]
        for at in range(len(self.words) + 1):
            rows[at][0] = _Path(0.0, 0.0, 0.0, 0.0, at, at, False, ())
            self._walk(pattern, rows, at)
            path = rows[at][pattern.last]
            if path is not None and self._is_believable(path) and _beats(path, best):
                best = path
        return None if best is None else _fit(best)

    def _could_fit(self, pattern: Automaton) -> bool:
        """A quick look that spares most patterns the walk."""
        if not pattern.telling or not pattern.telling.isdisjoint(self._known):
            return True
        return any(self._ends(slot, at) for slot in pattern.slots for at in range(len(self.words)))

    def _walk(self, pattern: Automaton, rows: list[list[_Path | None]], at: int) -> None:
        row = rows[at]
        for number, state in enumerate(pattern.states):
            path = row[number]
            if path is None:
                continue
            for to in state.free:
                _offer(row, to, path)
            for edge in state.words:
                _offer(row, edge.to, _miss(path, edge.weight))
                if at < len(self.words) and self.words[at] == edge.key:
                    _offer(rows[at + 1], edge.to, self._take(path, at, at + 1, edge.is_telling))
            for slot in state.slots:
                for end in self._ends(slot.name, at):
                    taken = self._take(path, at, end, True)
                    taken.slots = (*path.slots, (slot.name, at, end))
                    _offer(rows[end], slot.to, taken)
            # A skipped word never follows the last one that fits: the pattern ends there.
            if at < len(self.words) and path.matched and number != pattern.last:
                _offer(rows[at + 1], number, self._skip(path, at))

    def _take(self, path: _Path, start: int, end: int, telling: bool) -> _Path:
        gained = self.weight_of(start, end)
        return _Path(
            path.score + gained, path.matched + gained, path.missing, path.skipped,
            path.start if path.matched else start, end, path.is_telling or telling, path.slots,
        )  # fmt: skip

    def _skip(self, path: _Path, at: int) -> _Path:
        cost = 0.0 if self.weights[at] < _FREE_TO_SKIP else self.weights[at] * _SKIPPED_COST
        return _Path(
            path.score - cost, path.matched, path.missing, path.skipped + cost,
            path.start, path.end, path.is_telling, path.slots,
        )  # fmt: skip

    def _is_believable(self, path: _Path) -> bool:
        if not path.matched or path.skipped > path.matched / 2:
            return False
        if not path.is_telling:
            return path.missing == 0 and path.skipped == 0
        if path.missing > MISSING_SHARE * (path.matched + path.missing):
            return False
        return path.matched >= _SURE_WEIGHT or path.matched >= _SURE_SHARE * self.telling_weight


def _miss(path: _Path, cost: float) -> _Path:
    return _Path(
        path.score - cost, path.matched, path.missing + cost, path.skipped,
        path.start, path.end, path.is_telling, path.slots,
    )  # fmt: skip


def _offer(row: list[_Path | None], state: int, path: _Path) -> None:
    if _beats(path, row[state]):
        row[state] = path


def _beats(path: _Path, other: _Path | None) -> bool:
    if other is None:
        return True
    # Sums of tenths differ in their last bits; such a difference is none.
    if abs(path.score - other.score) > 1e-6:
        return path.score > other.score
    return path.missing + path.skipped < other.missing + other.skipped - 1e-6


def _fit(path: _Path) -> Fit:
    return Fit(
        path.score, path.matched, path.missing, path.skipped, path.start, path.end,
        path.is_telling, {name: (start, end) for name, start, end in path.slots},
    )  # fmt: skip
