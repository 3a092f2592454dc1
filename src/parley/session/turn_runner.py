"""One turn of an agent in writing: the model is asked, its tools run, and it is asked again."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from parley.agents.schema import Agent
from parley.core.events import Event
from parley.core.tasks import end
from parley.engines.fallback.chain import Replacement
from parley.engines.llm.fresh_ids import ids_in, with_fresh_ids
from parley.engines.llm.guarding import Guard
from parley.engines.spec import (
    ChatOptions,
    Chatter,
    Delta,
    Message,
    ToolRequest,
    ToolSchema,
    Usage,
)
from parley.session.confirmation import described
from parley.session.house import EngineDesk, Toolshed
from parley.session.pipeline import CallEngines, Replaceable
from parley.session.round_memory import RoundMemory
from parley.session.toolbelt import Toolbelt, Whose, as_call
from parley.session.written_actions import WrittenActions
from parley.tools.book import ToolBook
from parley.tools.spec import Tool

MOST_ROUNDS = 8
"""So often the model may ask for tools in one turn; then it has to answer."""
CLOSING_S = 2.0


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


class TurnRunner:
    """Lets agents answer in writing, with the engines, tools and limits of their calls."""

    def __init__(
        self,
        engines: EngineDesk,
        tools: Toolshed,
        announce: Callable[[Event], None] | None = None,
        memory: RoundMemory | None = None,
        book: ToolBook | None = None,
    ) -> None:
        self._engines = engines
        self._tools = tools
        self._announce = announce or _tell_nobody
        self._memory = memory or RoundMemory()
        self._book = book
        self._running: set[asyncio.Task[Any]] = set()

    async def run_turn(
        self, agent: Agent, messages: Sequence[Message], asked: Asked | None = None
    ) -> AsyncGenerator[Delta]:
        """The agent's reply to ``messages``, which hold no instructions of its own.

        Usage is that of all rounds together and comes with the last delta. Closing the iterator
        stops the model and every tool that may be interrupted.
        """
        asked = asked or Asked()
        self._engines.require_ready(agent)
        engines = await self._engines.engines_for(agent, "")
        tenant = asked.options.tenant
        tools = [t for t in self._tools.tools_for(agent, tenant) if t.needs is None]
        turn = _Turn(agent, engines, tools, asked)
        whose = (tenant, *agent.key)
        turn.hear(self._memory.recalled(whose, messages))
        belt = Toolbelt(
            turn.tools, turn.actions, self._announce, Whose(tenant, agent.name), book=self._book
        )
        for rounds_left in reversed(range(MOST_ROUNDS)):
            async with aclosing(turn.ask(may_use_tools=rounds_left > 0)) as words:
                async for text in words:
                    yield Delta(text=text)
            if turn.handed_back or not turn.wanted:
                break
            await self._run(belt, turn)
            for text in turn.told():
                yield Delta(text=text)
            if turn.is_over:
                break
        if turn.has_used_tools and turn.is_silent:
            yield Delta(text=turn.says(agent.sorry.tool))
        if turn.has_used_tools and not turn.handed_back:
            self._memory.keep(whose, messages, turn.shown, turn.happened())
        yield Delta(tools=turn.handed_back, usage=turn.usage, finish=turn.finish or "stop")

    async def close(self) -> None:
        """Wait shortly for tools that must not be interrupted, then let go."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=CLOSING_S)
            await end(*late)

    async def _run(self, belt: Toolbelt, turn: _Turn) -> None:
        """Run what the model wants, all at once."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._use(belt, turn, each)) for each in turn.wanted]
        turn.answered([each.result() for each in running])

    async def _use(self, belt: Toolbelt, turn: _Turn, request: ToolRequest) -> Any:
        tool = turn.tool(request.name)
        if tool is None:
            return {"error": f"There is no tool {request.name}."}
        refusal = belt.refusal(tool, request, turn.talk)
        if refusal is not None:
            return refusal
        task = asyncio.create_task(belt.run(tool, request), name=f"tool:{tool.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if tool.interruptible:
                task.cancel()
            raise


class _Turn:
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
        self._said_last = ""

    def hear(self, messages: Sequence[Message]) -> None:
        self.talk += messages
        self._heard = len(self.talk)

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
        self.has_used_tools = True
        for request, result in zip(self.wanted, results, strict=True):
            content = json.dumps(result, ensure_ascii=False, default=str)
            self.talk.append({"role": "tool", "tool_call_id": request.id, "content": content})
        used = [tool for request in self.wanted if (tool := self.tool(request.name))]
        self.is_over = any(tool.ends_turn for tool in used)
        self.finish = "stop"
        # A tool that had to be used has been used.
        self._options = replace(self._options, tool_choice="")

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


def _tell_nobody(event: Event) -> None:
    """Without a listener a turn's events go nowhere."""
