"""Choosing among replies and filling them in."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from parley.engines.llm.scripted.filling import Flow
from parley.engines.llm.scripted.replies import Names
from parley.engines.llm.scripted.script import Case, Replies, Script


class Wording:
    """The words of one conversation: replies of the same kind take turns."""

    def __init__(self, script: Script, now: datetime) -> None:
        self._script = script
        self._now = now
        self._used: Counter[Replies] = Counter()

    def say(self, replies: Replies, flow: Flow | None = None) -> str:
        if not replies:
            return ""
        text = replies[self._used[replies] % len(replies)].render(self.names(flow))
        self._used[replies] += 1
        return text

    def question(self, flow: Flow | None) -> str:
        """What is being asked just now, if anything."""
        if flow is None or flow.asking in ("", "change"):
            return ""
        if flow.asking == "confirm":
            return self.say(flow.intent.confirm, flow)
        slot = self._script.slots[flow.asking]
        return self.say(flow.intent.ask.get(flow.asking, slot.ask), flow)

    def names(self, flow: Flow | None) -> Names:
        """What templates may name."""
        values = self._script.values
        if flow is None:
            return Names(values, {}, {}, self._now)
        return Names(values, flow.slots, flow.answer, self._now)

    def holds(self, case: Case, flow: Flow) -> bool:
        """Whether a case's condition is met."""
        if not case.condition:
            return True
        return bool(self.names(flow)(case.condition)) == case.wanted


def joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)
