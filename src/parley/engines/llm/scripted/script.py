"""A dialogue script, read and ready: its intents, its slots and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from parley.engines.llm.scripted.automaton import Automaton
from parley.engines.llm.scripted.pattern import Node
from parley.engines.llm.scripted.replies import Template
from parley.engines.llm.scripted.slots import SlotType

Action = Literal["", "repeat", "abandon"]
Replies = tuple[Template, ...]
"""Ways of saying the same thing; they take turns."""


@dataclass(frozen=True, slots=True)
class SlotUse:
    """A slot of the script: what can fill it, how it is asked for and how callers answer."""

    name: str
    type: SlotType
    ask: Replies
    answers: tuple[Node, ...]
    is_remembered: bool


@dataclass(frozen=True, slots=True)
class Case:
    """What to do with a tool's answer, if its condition holds.

    ``condition`` is a path into the answer that must (``wanted``) or must not hold something.
    """

    condition: str
    wanted: bool
    reply: Replies
    settings: Mapping[str, Template]
    again: tuple[str, ...]
    then: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Intent:
    """One thing that callers want, and what is done about it."""

    name: str
    patterns: tuple[Node, ...]
    automata: tuple[Automaton, ...]
    reply: Replies
    needs: tuple[str, ...]
    inherits: tuple[str, ...]
    ask: Mapping[str, Replies]
    confirm: Replies
    declined: Replies
    call: str
    arguments: Mapping[str, Template | int | float | bool | None]
    on_result: tuple[Case, ...]
    on_error: tuple[Case, ...]
    action: Action
    only_idle: bool
    is_courtesy: bool
    slots: frozenset[str]

    @property
    def is_remark(self) -> bool:
        """Whether it can be dealt with in passing, while something else is being arranged."""
        return not self.needs and not self.confirm and not self._leads_on

    @property
    def is_only_words(self) -> bool:
        """Whether a reply is all there is to it."""
        return bool(self.reply) and not (self.needs or self.confirm or self.call or self.action)

    @property
    def _leads_on(self) -> bool:
        return any(case.then or case.again for case in (*self.on_result, *self.on_error))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Script:
    """The whole script."""

    name: str
    language: str
    values: Mapping[str, str]
    slots: Mapping[str, SlotUse]
    intents: Mapping[str, Intent]
    greeting: Replies
    fallback: Replies
    still_there: Replies
    declined: Replies
    give_up: Replies
    unavailable: Replies
    trouble: Replies
    done: Replies
    wait: Replies
    tries: int
