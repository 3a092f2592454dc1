"""JSGF grammars, folded into the smallest automaton that accepts the same sentences.

PocketSphinx copies a rule to every place that names it and joins the copies by empty transitions:
a grammar of a hundred sentences becomes tens of thousands of them and is slow to search. Folded,
the same grammar has a few hundred states, no empty transitions but those at the end, and is
searched about eight times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

Transition = tuple[int, int, float, str] | tuple[int, int, float]
"""From, to, probability and word; without a word for an empty one. Ready for PocketSphinx."""


class BadGrammar(ValueError):
    """Text that is no JSGF, or JSGF that this can't fold (weights, ``*``, ``+``, recursion)."""


@dataclass(frozen=True, slots=True)
class FoldedGrammar:
    """A deterministic automaton: ``arcs[state]`` maps a word to the next state, from state 0 on."""

    arcs: tuple[Mapping[str, int], ...]
    finals: frozenset[int]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(word for row in self.arcs for word in row)

    def accepts(self, text: str) -> bool:
        """Whether the words of a text, separated by spaces, are a sentence of the grammar."""
        state = 0
        for word in text.split():
            following = self.arcs[state].get(word)
            if following is None:
                return False
            state = following
        return state in self.finals

    def without(self, words: Collection[str]) -> FoldedGrammar:
        """The grammar of the sentences that need none of these words."""
        kept = [{word: to for word, to in row.items() if word not in words} for row in self.arcs]
        return _minimal(kept, self.finals)

    def transitions(self) -> tuple[list[Transition], int]:
        """For ``Decoder.create_fsg(name, 0, last, transitions)``: the transitions and ``last``."""
        last = len(self.arcs)
        found: list[Transition] = []
        for state, row in enumerate(self.arcs):
            ways = len(row) + (state in self.finals)
            found += [(state, to, 1 / ways, word) for word, to in row.items()]
            if state in self.finals:
                found.append((state, last, 1 / ways))
        return found, last


def fold_jsgf(text: str) -> FoldedGrammar:
    """Read JSGF with one public rule and fold it."""
    rules = _rules(text)
    public = [name for name, (is_public, _) in rules.items() if is_public]
    if len(public) != 1:
        raise BadGrammar(f"A grammar needs one public rule; this has {len(public)}.")
    network = _Network({name: tokens for name, (_, tokens) in rules.items()})
    first = network.new()
    last = network.add_rule(public[0], first)
    return _folded(network, first, last)


def with_phrases(text: str, phrases: Sequence[str]) -> str:
    """The grammar, with phrases that may be said alone or before any of its sentences.

    "" (anything may be said) stays as it is, and so does a grammar that has got no phrase.
    """
    ways = [" ".join(_PLAIN_WORD.findall(phrase.lower())) for phrase in phrases]
    spoken = " | ".join(dict.fromkeys(way for way in ways if way))
    public = _PUBLIC.search(text)
    if not spoken or public is None:
        return text
    rules = f"{text[: public.start()]}<{public[1]}>{text[public.end() :]}"
    return f"{rules}public <woken> = <{public[1]}> | ({spoken}) [<{public[1]}>];\n"


_PLAIN_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_PUBLIC = re.compile(r"\bpublic\s+<([^<>]+)>")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_HEADER = re.compile(r"\s*#JSGF[^;]*;|\s*grammar\s+[^;]*;")
_RULE = re.compile(r"\s*(public\s+)?<([^<>]+)>\s*=([^;]*);")
_TOKEN = re.compile(r"\s*(?:([()\[\]|])|<([^<>]+)>|([^\s()\[\]|<>=;*+/{}]+)|(\S))")

_Tokens = list[tuple[str, str, str, str]]


def _rules(text: str) -> dict[str, tuple[bool, _Tokens]]:
    text = _COMMENT.sub(" ", text)
    rules: dict[str, tuple[bool, _Tokens]] = {}
    at = 0
    while header := _HEADER.match(text, at):
        at = header.end()
    while text[at:].strip():
        rule = _RULE.match(text, at)
        if rule is None:
            raise BadGrammar(f"This is no rule: {text[at : at + 60].strip()!r}")
        tokens: _Tokens = [
            (match[1] or "", match[2] or "", match[3] or "", match[4] or "")
            for match in _TOKEN.finditer(rule[3])
        ]
        stray = next((token[3] for token in tokens if token[3]), "")
        if stray:
            raise BadGrammar(f"{stray!r} in <{rule[2]}> can't be folded.")
        rules[rule[2]] = (bool(rule[1]), tokens)
        at = rule.end()
    return rules


class _Network:
    """The grammar as states joined by words and by nothing, a copy of a rule for each use."""

    def __init__(self, rules: Mapping[str, _Tokens]) -> None:
        self._rules = rules
        self._open: list[str] = []
        self.words: list[list[tuple[str, int]]] = []
        self.free: list[list[int]] = []

    def new(self) -> int:
        self.words.append([])
        self.free.append([])
        return len(self.words) - 1

    def add_rule(self, name: str, start: int) -> int:
        """Lay the rule's states behind ``start``; return its last state."""
        if name not in self._rules:
            raise BadGrammar(f"There is no rule <{name}>.")
        if name in self._open:
            raise BadGrammar(f"The rule <{name}> contains itself.")
        self._open.append(name)
        tokens = self._rules[name]
        end, at = self._alternatives(tokens, 0, start)
        if at != len(tokens):
            raise BadGrammar(f"<{name}> has a closing bracket too many.")
        self._open.pop()
        return end

    def _alternatives(self, tokens: _Tokens, at: int, start: int) -> tuple[int, int]:
        """Up to a closing bracket or the end; returns the last state and the next token's place."""
        end = self.new()
        while True:
            last, at = self._sequence(tokens, at, start)
            self.free[last].append(end)
            if at >= len(tokens) or tokens[at][0] != "|":
                return end, at
            at += 1

    def _sequence(self, tokens: _Tokens, at: int, start: int) -> tuple[int, int]:
        here = start
        while at < len(tokens) and tokens[at][0] not in ("|", ")", "]"):
            mark, rule, word, _ = tokens[at]
            at += 1
            if word:
                following = self.new()
                self.words[here].append((word, following))
                here = following
            elif rule:
                here = self.add_rule(rule, here)
            else:
                here, at = self._group(tokens, at, here, ")" if mark == "(" else "]")
        return here, at

    def _group(self, tokens: _Tokens, at: int, start: int, closing: str) -> tuple[int, int]:
        end, at = self._alternatives(tokens, at, start)
        if at >= len(tokens) or tokens[at][0] != closing:
            raise BadGrammar(f"A bracket is not closed by {closing}.")
        if closing == "]":
            self.free[start].append(end)
        return end, at + 1


def _folded(network: _Network, first: int, last: int) -> FoldedGrammar:
    """Make the network deterministic, then as small as can be."""
    reach = _Reach(network.free)
    start = reach.of([first])
    numbers = {start: 0}
    rows: list[dict[str, int]] = []
    finals: set[int] = set()
    waiting = [start]
    for states in waiting:
        if last in states:
            finals.add(numbers[states])
        targets: dict[str, set[int]] = {}
        for state in states:
            for word, to in network.words[state]:
                targets.setdefault(word, set()).add(to)
        row: dict[str, int] = {}
        for word, found in targets.items():
            following = reach.of(found)
            if following not in numbers:
                numbers[following] = len(numbers)
                waiting.append(following)
            row[word] = numbers[following]
        rows.append(row)
    return _minimal(rows, frozenset(finals))


class _Reach:
    """Which states are reached by saying nothing."""

    def __init__(self, free: list[list[int]]) -> None:
        self._free = free

    def of(self, states: Collection[int]) -> frozenset[int]:
        found = set(states)
        waiting = list(states)
        while waiting:
            for to in self._free[waiting.pop()]:
                if to not in found:
                    found.add(to)
                    waiting.append(to)
        return frozenset(found)


def _minimal(rows: list[dict[str, int]], finals: frozenset[int]) -> FoldedGrammar:
    """Merge states from which the same can be said; drop those that lead nowhere.

    Grammars without recursion have no loops: each state is settled after all that follow it.
    """
    merged: dict[tuple[bool, frozenset[tuple[str, int]]], int] = {}
    settled: dict[int, int | None] = {}
    kept: list[dict[str, int]] = []
    kept_finals: set[int] = set()
    for state in _last_first(rows):
        row = {
            word: target for word, to in rows[state].items() if (target := settled[to]) is not None
        }
        is_final = state in finals
        if not row and not is_final:
            settled[state] = None
            continue
        key = (is_final, frozenset(row.items()))
        if key not in merged:
            merged[key] = len(kept)
            kept.append(row)
            if is_final:
                kept_finals.add(merged[key])
        settled[state] = merged[key]
    first = settled[0]
    if first is None:
        return FoldedGrammar(({},), frozenset())
    # Settled last, the first state has the highest number; the callers want it to be 0.
    count = len(kept) - 1
    arcs = tuple({word: count - to for word, to in row.items()} for row in reversed(kept))
    return FoldedGrammar(arcs, frozenset(count - state for state in kept_finals))


def _last_first(rows: list[dict[str, int]]) -> Iterator[int]:
    """Every state that can be reached, after all states that follow it."""
    seen = {0}
    path = [(0, iter(rows[0].values()))]
    while path:
        state, following = path[-1]
        to = next((each for each in following if each not in seen), None)
        if to is None:
            path.pop()
            yield state
        else:
            seen.add(to)
            path.append((to, iter(rows[to].values())))
