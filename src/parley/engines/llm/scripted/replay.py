"""From the messages of a conversation to what the script says next.

Nothing is kept between two turns: the dialogue is played again from the first message, so the
same messages always give the same answer, in a call and over HTTP. What the caller said decides,
never what the agent is quoted as saying: that may have been cut short. The day that "tomorrow"
means is seen from the time of the replay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from parley.engines.llm.scripted.dialogue import Dialogue
from parley.engines.llm.scripted.hearing import Listener
from parley.engines.llm.scripted.results import (
    Answer,
    answer_in,
    calls_in,
    late_answer,
    text_of,
)
from parley.engines.llm.scripted.turn import Turn
from parley.engines.llm.scripted.words import words_of
from parley.engines.spec import Message

_GREET = re.compile(
    r"\b(greet\w*|introduc\w+ yourself|welcome the|say (hello|hi) to the|start (by|with) saying)\b",
    re.IGNORECASE,
)


def next_turn(
    messages: Sequence[Message], listener: Listener, tools: frozenset[str], now: datetime
) -> Turn:
    """What the script says after these messages."""
    replay = _Replay(Dialogue(listener, tools, now), messages)
    for number, message in enumerate(messages):
        replay.play(number, message)
    return replay.unspoken() or replay.unprompted()


class _Replay:
    """``_turn`` is what the script had to say last; ``_spoken`` what was said since then."""

    def __init__(self, dialogue: Dialogue, messages: Sequence[Message]) -> None:
        self._dialogue = dialogue
        self._messages = messages
        self._turn: Turn | None = None
        self._spoken: list[str] = []
        self._is_news = False
        self._has_begun = False
        self._last_heard = max(
            (number for number, each in enumerate(messages) if each.get("role") == "user"),
            default=-1,
        )

    def play(self, number: int, message: Message) -> None:
        match message.get("role"):
            case "user":
                self._user(message)
            case "assistant":
                self._assistant(message)
            case "tool":
                answer = answer_in(text_of(message))
                self._tool(number, str(message.get("tool_call_id")), answer)
            case "developer":
                late = late_answer(message)
                if late is not None:
                    self._tool(number, *late)
                elif not self._has_begun:
                    self._have(self._dialogue.greet())
                elif number == len(self._messages) - 1:
                    self._have(self._dialogue.nudge())
            case _:
                # The instructions of a language model mean nothing to a script.
                return

    def unspoken(self) -> Turn | None:
        """What the script had to say last, unless it has been said, or begun to be."""
        turn = self._turn
        if turn is None or any(_opens(text, turn.text) for text in self._spoken):
            return None
        return turn

    def unprompted(self) -> Turn:
        """The script is to speak, though all that was said is answered."""
        return self._dialogue.nudge() if self._has_begun else self._dialogue.greet()

    def _have(self, turn: Turn, *, is_news: bool = False) -> None:
        self._has_begun = True
        self._turn = turn
        self._is_news = is_news
        self._spoken = []

    def _user(self, message: Message) -> None:
        text = text_of(message)
        if not self._has_begun and _GREET.search(text):
            self._have(self._dialogue.greet())
            return
        # The caller spoke before hearing what a tool has done: that must still be told.
        news = self.unspoken() if self._is_news else None
        turn = self._dialogue.hear(text)
        if news is not None:
            turn = replace(turn, text=f"{news.text} {turn.text}".strip())
        self._have(turn)

    def _assistant(self, message: Message) -> None:
        self._has_begun = True
        for id, name in calls_in(message):
            self._dialogue.tool_requested(id, name)
        text = text_of(message)
        if text:
            self._spoken.append(text)
            self._dialogue.spoken(text)

    def _tool(self, number: int, id: str, answer: Answer) -> None:
        if answer.state == "running":
            if self._last_heard < number:
                self._have(self._dialogue.wait())
        elif answer.state == "stopped" and self._last_heard > number:
            self._dialogue.tool_cancelled(id)
        else:
            self._have(self._dialogue.tool_answered(id, answer), is_news=True)


def _opens(heard: str, said: str) -> bool:
    """Whether what was heard is what the script said, or its beginning."""
    heard_words, said_words = words_of(heard), words_of(said)
    return bool(heard_words) and said_words[: len(heard_words)] == heard_words
