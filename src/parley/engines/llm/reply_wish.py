"""How one reply is to be, where somebody asks for something else than usual; and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from parley.engines.spec import ChatOptions, Message, ToolSchema, Usage


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
        return [*head, *(rest if self.messages is None else self.messages)]

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
class ReplyOutcome:
    """How a reply of the model ended; ``finish`` is stop, length or tool_calls where it says so."""

    finish: str = ""
    usage: Usage | None = None
    error: str = ""
