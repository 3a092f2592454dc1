"""Patterns as automata: what the matcher walks along.

States are numbered so that every edge leads to a higher number; one pass over the states in
order sees each path that takes no word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf

from parley.engines.llm.scripted.pattern import Either, Maybe, Node, Run, Slot, Word
from parley.engines.llm.scripted.words import is_telling, weight


@dataclass(frozen=True, slots=True)
class WordEdge:
    key: str
    weight: float
    is_telling: bool
    to: int


@dataclass(frozen=True, slots=True)
class SlotEdge:
    name: str
    to: int


@dataclass(slots=True)
class State:
    """A place in the pattern, and the ways on from it: by nothing, by a word, by a slot."""

    free: list[int] = field(default_factory=list[int])
    words: list[WordEdge] = field(default_factory=list[WordEdge])
    slots: list[SlotEdge] = field(default_factory=list[SlotEdge])


class Automaton:
    """One pattern. State 0 is before its first word, ``last`` behind its last one."""

    def __init__(self, node: Node) -> None:
        self.states: list[State] = [State()]
        self.last = self._add(node, 0)
        self.keys = frozenset(edge.key for state in self.states for edge in state.words)
        self.slots = frozenset(edge.name for state in self.states for edge in state.slots)

    def least_missing(self, known: Collection[str], fillable: Collection[str]) -> float:
        """The weight of words that must go unsaid, if only ``known`` words were said at all.

        Infinite if a slot that is not ``fillable`` can't be avoided.
        """
        least = [inf] * len(self.states)
        least[0] = 0.0
        for number, state in enumerate(self.states):
            here = least[number]
            for to in state.free:
                least[to] = min(least[to], here)
            for edge in state.words:
                cost = here if edge.key in known else here + edge.weight
                least[edge.to] = min(least[edge.to], cost)
            for slot in state.slots:
                if slot.name in fillable:
                    least[slot.to] = min(least[slot.to], here)
        return least[self.last]

    def _new(self) -> int:
        self.states.append(State())
        return len(self.states) - 1

    def _add(self, node: Node, start: int) -> int:
        """Lay the node's edges from ``start``; return the state behind it."""
        match node:
            case Word(key):
                end = self._new()
                self.states[start].words.append(WordEdge(key, weight(key), is_telling(key), end))
            case Slot(name):
                end = self._new()
                self.states[start].slots.append(SlotEdge(name, end))
            case Run(parts):
                end = start
                for part in parts:
                    end = self._add(part, end)
            case Maybe(part):
                inside = self._add(part, start)
                end = self._new()
                self.states[start].free.append(end)
                self.states[inside].free.append(end)
            case Either(options):
                ends = [self._add(option, start) for option in options]
                end = self._new()
                for option_end in ends:
                    self.states[option_end].free.append(end)
        return end


class Vocabulary:
    """A pattern without slots, matched exactly: what can stand in a slot."""

    def __init__(self, node: Node) -> None:
        automaton = Automaton(node)
        self._last = automaton.last
        self._next: list[Mapping[str, frozenset[int]]] = []
        reach: list[frozenset[int]] = [frozenset()] * len(automaton.states)
        for number in range(len(automaton.states) - 1, -1, -1):
            state = automaton.states[number]
            reach[number] = frozenset({number}).union(*(reach[to] for to in state.free))
        for state in automaton.states:
            steps: dict[str, frozenset[int]] = {}
            for edge in state.words:
                steps[edge.key] = steps.get(edge.key, frozenset()) | reach[edge.to]
            self._next.append(steps)
        self._start = reach[0]

    def ends(self, words: tuple[str, ...], start: int) -> tuple[int, ...]:
        """Where a run of words that starts at ``start`` and fits can end, shortest first."""
        found: list[int] = []
        here = self._start
        for at in range(start, len(words)):
            word = words[at]
            here = frozenset[int]().union(
                *(self._next[state].get(word, frozenset()) for state in here)
            )
            if not here:
                break
            if self._last in here:
                found.append(at + 1)
        return tuple(found)
