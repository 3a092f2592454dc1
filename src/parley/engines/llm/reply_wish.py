"""How one reply is to be, where somebody asks for something else than usual; and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import cast

from parley.engines.spec import ChatOptions, Delta, Message, ToolRequest, ToolSchema, Usage


@dataclass(frozen=True, slots=True)
class ReplyWish:
    """What is None is as usual.

    ``messages`` stand in the place of the conversation, ``instructions`` in that of its own.
    ``tools`` are the client's: the model's requests for them are handed back to it.
    ``text_only`` replies are not spoken.
    """

    instructions: str | None = None
    messages: Sequence[Message] | None = None
    tools: tuple[ToolSchema, ...] | None = None
    tool_choice: str | None = None
    max_tokens: int | None = None
    text_only: bool | None = None

    def over(self, usual: ReplyWish) -> ReplyWish:
        """This wish, and the usual where it leaves something open."""
        mine = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(usual, **{name: value for name, value in mine.items() if value is not None})

    def asked(self, conversation: Sequence[Message]) -> list[Message]:
        """What the model reads."""
        begins = bool(conversation) and conversation[0].get("role") == "system"
        head, rest = list(conversation[: int(begins)]), conversation[int(begins) :]
        if self.instructions is not None:
            head = [{"role": "system", "content": self.instructions}] if self.instructions else []
        return [*head, *_paired(rest if self.messages is None else self.messages)]

    def offered(self, ours: Sequence[ToolSchema]) -> list[ToolSchema]:
        """The tools that the model may ask for; ours win where names are alike."""
        names = {tool.name for tool in ours}
        return [*ours, *(tool for tool in self.tools or () if tool.name not in names)]

    def options(self, usual: ChatOptions) -> ChatOptions:
        return replace(
            usual,
            max_tokens=self.max_tokens or usual.max_tokens,
            tool_choice=usual.tool_choice if self.tool_choice is None else self.tool_choice,
        )


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A tool that whoever asked for the reply is to run, and the request's name as an item."""

    request: ToolRequest
    item_id: str


@dataclass(frozen=True, slots=True)
class ReplyOutcome:
    """How a reply of the model ended; ``finish`` is stop, length or tool_calls where it says so.

    ``was_cut``: somebody has interrupted it. ``has_words``: it had something to say.
    ``requests`` counts the tools that it asked for.
    """

    finish: str = ""
    usage: Usage | None = None
    error: str = ""
    handed_back: tuple[HandedBack, ...] = ()
    was_cut: bool = False
    has_words: bool = False
    requests: int = 0

    def after(self, delta: Delta) -> ReplyOutcome:
        """What is known with one more piece of the reply."""
        return replace(
            self,
            finish=delta.finish or self.finish,
            usage=delta.usage or self.usage,
            has_words=self.has_words or bool(delta.text.strip()),
            requests=self.requests + len(delta.tools),
        )


NOT_ANSWERED = "(There is no answer yet.)"


def _paired(messages: Sequence[Message]) -> list[Message]:
    """Every request for a tool with its answer behind it, and no other answers: models' servers
    refuse anything else. A client may owe an answer, or have deleted one side."""
    paired: list[Message] = []
    waiting: dict[str, None] = {}
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                continue
            del waiting[message["tool_call_id"]]
        else:
            paired += _unanswered(waiting)
            calls = cast(Sequence[Message], message.get("tool_calls") or ())
            waiting = {str(call["id"]): None for call in calls}
        paired.append(message)
    return [*paired, *_unanswered(waiting)]


def _unanswered(waiting: Iterable[str]) -> list[Message]:
    return [{"role": "tool", "tool_call_id": each, "content": NOT_ANSWERED} for each in waiting]
