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
from typing import Any, cast

from parley.engines.llm.scripted.dialogue import Dialogue
from parley.engines.llm.scripted.hearing import Listener
from parley.engines.llm.scripted.results import Answer, answer_in, late_answer, text_of
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
    return replay.turn if replay.turn is not None else replay.unprompted()


class _Replay:
    def __init__(self, dialogue: Dialogue, messages: Sequence[Message]) -> None:
        self.turn: Turn | None = None
        self._dialogue = dialogue
        self._messages = messages
        self._has_begun = False
        self._is_news = False
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
                    self._begin_with(self._dialogue.greet())
                elif number == len(self._messages) - 1:
                    self.turn = self._dialogue.nudge()
            case _:
                # The instructions of a language model mean nothing to a script.
                return

    def unprompted(self) -> Turn:
        """The script is to speak, though all that was said is answered."""
        return self._dialogue.nudge() if self._has_begun else self._dialogue.greet()

    def _begin_with(self, turn: Turn) -> None:
        self._has_begun = True
        self._is_news = False
        self.turn = turn

    def _user(self, message: Message) -> None:
        text = text_of(message)
        if not self._has_begun and _GREET.search(text):
            self._begin_with(self._dialogue.greet())
            return
        # The caller spoke before hearing what a tool has done: that must still be told.
        news = self.turn.text if self.turn is not None and self._is_news else ""
        turn = self._dialogue.hear(text)
        self._begin_with(replace(turn, text=f"{news} {turn.text}".strip()) if news else turn)

    def _assistant(self, message: Message) -> None:
        self._has_begun = True
        calls = message.get("tool_calls")
        for call in cast("list[Any]", calls) if isinstance(calls, list) else []:
            if isinstance(call, dict):
                fields = cast("dict[str, Any]", call)
                function = fields.get("function")
                name = (
                    cast("dict[str, Any]", function).get("name")
                    if isinstance(function, dict)
                    else ""
                )
                self._dialogue.tool_requested(str(fields.get("id")), str(name))
        text = text_of(message)
        if text:
            self._dialogue.spoken(text)
            if self.turn is not None and _opens(text, self.turn.text):
                self.turn = None

    def _tool(self, number: int, id: str, answer: Answer) -> None:
        self._has_begun = True
        if answer.state == "running":
            if self._last_heard < number:
                self.turn = self._dialogue.wait()
        elif answer.state == "stopped" and self._last_heard > number:
            self._dialogue.tool_cancelled(id)
        else:
            self.turn = self._dialogue.tool_answered(id, answer)
            self._is_news = True


def _opens(heard: str, said: str) -> bool:
    """Whether what was heard is what the script said, or its beginning."""
    heard_words, said_words = words_of(heard), words_of(said)
    return bool(heard_words) and said_words[: len(heard_words)] == heard_words
