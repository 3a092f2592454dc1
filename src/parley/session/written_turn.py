"""One turn of an agent in writing as it unfolds: what is said, wanted and done in it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from parley.agents.schema import Agent
from parley.engines.fallback.chain import Replacement
from parley.engines.llm.fresh_ids import ids_in, with_fresh_ids
from parley.engines.llm.guarding import Guard
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    Message,
    ToolRequest,
    ToolSchema,
    Usage,
)
from parley.session.broken_turn import ToolUses, content_of
from parley.session.confirmation import described
from parley.session.pipeline import CallEngines, Replaceable
from parley.session.toolbelt import as_call
from parley.session.written_actions import WrittenActions
from parley.tools.spec import Tool


def new_turn_id() -> str:
    return f"turn_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request adds to the agent's own ways.

    ``tools`` are the client's: the model's requests for them are handed back to it. What
    ``options`` leaves open is as in the agent's calls. ``id`` names the turn in events and to
    tools, which do a thing once for each id.
    """

    id: str = field(default_factory=new_turn_id)
    tools: tuple[ToolSchema, ...] = ()
    options: ChatOptions = field(default_factory=ChatOptions)


class WrittenTurn:
    """One turn as it unfolds. ``shown`` is all the text that the client has got."""

    def __init__(
        self, agent: Agent, engines: CallEngines, tools: Sequence[Tool], asked: Asked
    ) -> None:
        self.tools = tools
        self.actions = WrittenActions(asked.id)
        self.usage: Usage | None = None
        self.finish = ""
        self.shown = ""
        self.wanted: tuple[ToolRequest, ...] = ()
        self.uses = ToolUses()
        self.handed_back: tuple[ToolRequest, ...] = ()
        self.has_used_tools = False
        self.is_over = False
        self._by_name = {tool.name: tool for tool in tools}
        self._theirs = {tool.name: tool for tool in asked.tools if tool.name not in self._by_name}
        self._model = _for_this_turn(engines.llm, agent)
        self._options = _options(engines.thinking, asked.options)
        self._guard = Guard(engines.limits, agent.safety.refusals())
        self.talk: list[Message] = [{"role": "system", "content": agent.instructions}]
        self._heard = 0
        self._is_using = False
        self._said_last = ""

    def hear(self, messages: Sequence[Message], done: Sequence[Message]) -> None:
        """``done`` is what an attempt before this one has come to."""
        self.talk += messages
        self._heard = len(self.talk)
        self.talk += done
        self.has_used_tools = bool(done)

    def tool(self, name: str) -> Tool | None:
        return self._by_name.get(name)

    async def ask(self, *, may_use_tools: bool) -> AsyncGenerator[str]:
        """One round's words; what it wants done is in ``wanted`` or ``handed_back`` then."""
        offered = self._offered() if may_use_tools else []
        deltas = self._model.chat(self._guard.asked(self.talk), offered, self._options)
        said, requests, taken, self.finish = "", (), ids_in(self.talk), ""
        reply = self._guard.reply(deltas, offered, self._options.max_tokens)
        async with aclosing(reply):
            async for delta in reply:
                requests += with_fresh_ids(delta.tools, taken)
                self.usage = _sum(self.usage, delta.usage)
                self.finish = delta.finish or self.finish
                if delta.text:
                    words = delta.text if said else self._apart(delta.text)
                    said += delta.text
                    self.shown += words
                    yield words
        self._sort(said, requests)

    def answered(self, results: Sequence[Any]) -> None:
        """Put the tools' results where the model finds them."""
        self.has_used_tools, self._is_using = True, False
        for request, result in zip(self.wanted, results, strict=True):
            content = content_of(result)
            self.talk.append({"role": "tool", "tool_call_id": request.id, "content": content})
        used = [tool for request in self.wanted if (tool := self.tool(request.name))]
        self.is_over = any(tool.ends_turn for tool in used)
        self.finish = "stop"
        # A tool that had to be used has been used.
        self._options = replace(self._options, tool_choice="")

    def break_off(self) -> bool:
        """The turn ends in the middle. Whether tools have done something, or may have."""
        if self._is_using:
            self.talk += self.uses.messages(self.wanted)
        return self.has_used_tools or self._is_using

    def told(self) -> list[str]:
        """What tools have said themselves."""
        said, self.actions.said = self.actions.said, []
        told: list[str] = []
        for text in said:
            told.append(self._apart(text))
            self.shown += told[-1]
            self.talk.append({"role": "assistant", "content": text})
        return told

    @property
    def is_silent(self) -> bool:
        """Whether the turn ends without a word about what came of it."""
        return not (self._said_last.strip() or self.handed_back or self.is_over)

    def says(self, text: str) -> str:
        """A sentence of the agent's own."""
        text = self._apart(text)
        self.shown += text
        self.talk.append({"role": "assistant", "content": text})
        return text

    def happened(self) -> list[Message]:
        """The turn's own messages, tools included."""
        return self.talk[self._heard :]

    def _offered(self) -> list[ToolSchema]:
        ours = [ToolSchema(tool.name, described(tool), tool.parameters) for tool in self.tools]
        return [*ours, *self._theirs.values()]

    def _sort(self, said: str, requests: tuple[ToolRequest, ...]) -> None:
        """The client's tools come first: ours would run unseen, and the model asks again."""
        self._said_last = said
        self.handed_back = tuple(each for each in requests if each.name in self._theirs)
        self.wanted = () if self.handed_back else requests
        if self.handed_back:
            self.finish = "tool_calls"
        elif self.finish == "tool_calls":
            self.finish = "stop"
        message: Message = {"role": "assistant", "content": said}
        if self.wanted:
            message["tool_calls"] = [as_call(each) for each in self.wanted]
            self._is_using = True
        if said or self.wanted:
            self.talk.append(message)

    def _apart(self, text: str) -> str:
        """``text`` as the next words of what was shown."""
        joins = not self.shown or self.shown[-1].isspace() or text[0].isspace()
        return text if joins else f" {text}"


def _for_this_turn(model: Chatter, agent: Agent) -> Chatter:
    if isinstance(model, Replaceable):
        return model.for_call(_note, agent.limits.seconds().llm)
    return model


def _options(usual: ChatOptions, asked: ChatOptions) -> ChatOptions:
    return replace(
        asked,
        model=usual.model,
        max_tokens=asked.max_tokens or usual.max_tokens,
        temperature=usual.temperature if asked.temperature is None else asked.temperature,
        top_p=usual.top_p if asked.top_p is None else asked.top_p,
        stop=asked.stop or usual.stop,
        tool_choice=asked.tool_choice or usual.tool_choice,
        time_zone=usual.time_zone,
    )


def _sum(one: Usage | None, other: Usage | None) -> Usage | None:
    if one is None or other is None:
        return one or other
    return Usage(
        one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens
    )


def _note(told: Replacement) -> None:
    """The chain itself logs replacements; nobody is on the line to be told."""
