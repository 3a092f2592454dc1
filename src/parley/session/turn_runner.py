"""One turn of an agent in writing: the model is asked, its tools run, and it is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from parley.agents.schema import Agent
from parley.core.events import Event
from parley.core.tasks import end
from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.house import EngineDesk, Toolshed
from parley.session.round_memory import RoundMemory
from parley.session.toolbelt import Toolbelt, Whose
from parley.session.written_turn import Asked, WrittenTurn
from parley.tools.book import ToolBook

MOST_ROUNDS = 8
"""So often the model may ask for tools in one turn; then it has to answer."""
CLOSING_S = 2.0


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
        turn = WrittenTurn(agent, engines, tools, asked)
        whose = (tenant, *agent.key)
        turn.hear(self._memory.recalled(whose, messages), self._memory.broken(whose, messages))
        belt = Toolbelt(
            turn.tools, turn.actions, self._announce, Whose(tenant, agent.name), book=self._book
        )
        is_answered = False
        try:
            async with aclosing(self._rounds(belt, turn, agent)) as words:
                async for text in words:
                    yield Delta(text=text)
            is_answered = True
        finally:
            if not is_answered and turn.break_off():
                self._memory.keep_broken(whose, messages, turn.happened())
        self._memory.mend(whose, messages)
        if turn.has_used_tools and not turn.handed_back:
            self._memory.keep(whose, messages, turn.shown, turn.happened())
        yield Delta(tools=turn.handed_back, usage=turn.usage, finish=turn.finish or "stop")

    async def _rounds(self, belt: Toolbelt, turn: WrittenTurn, agent: Agent) -> AsyncGenerator[str]:
        """All that the agent says, while its tools do what the model wants."""
        for rounds_left in reversed(range(MOST_ROUNDS)):
            async with aclosing(turn.ask(may_use_tools=rounds_left > 0)) as words:
                async for text in words:
                    yield text
            if turn.handed_back or not turn.wanted:
                break
            await self._run(belt, turn)
            for text in turn.told():
                yield text
            if turn.is_over:
                break
        if turn.has_used_tools and turn.is_silent:
            yield turn.says(agent.sorry.tool)

    @property
    def at_work(self) -> frozenset[asyncio.Task[Any]]:
        """The tools that run, also those whose turns have been left."""
        return frozenset(self._running)

    async def close(self) -> None:
        """Wait shortly for tools that must not be interrupted, then let go."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=CLOSING_S)
            await end(*late)

    async def _run(self, belt: Toolbelt, turn: WrittenTurn) -> None:
        """Run what the model wants, all at once."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._use(belt, turn, each)) for each in turn.wanted]
        turn.answered([each.result() for each in running])

    async def _use(self, belt: Toolbelt, turn: WrittenTurn, request: ToolRequest) -> Any:
        tool = turn.tool(request.name)
        if tool is None:
            return {"error": f"There is no tool {request.name}."}
        refusal = belt.refusal(tool, request, turn.talk)
        if refusal is not None:
            return refusal
        task = asyncio.create_task(belt.run(tool, request), name=f"tool:{tool.name}")
        self._running.add(task)
        turn.uses.add(request, task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if tool.interruptible:
                task.cancel()
            raise


def _tell_nobody(event: Event) -> None:
    """Without a listener a turn's events go nowhere."""
