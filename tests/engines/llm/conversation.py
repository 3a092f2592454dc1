"""A text conversation with an engine: it runs the tools the engine asks for and feeds results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from parley.core.errors import ToolFailed
from parley.engines.llm.scripted import ScriptedChatter, ScriptedOptions
from parley.engines.spec import ChatOptions, Chatter, Delta, Message, ToolRequest, ToolSchema
from parley.tools.catalog import ToolCatalog
from parley.tools.spec import Tool, ToolCall

MONDAY = datetime(2026, 3, 2, 10, 7)


@dataclass
class FakeActions:
    """A call that notes what tools do to it."""

    call_id: str = "call_1"
    done: list[Any] = field(default_factory=list)

    async def say(self, text: str) -> None:
        self.done.append(("say", text))

    async def hang_up(self) -> None:
        self.done.append("hang_up")

    async def adjust_speech(self, *, speed: float = 1.0, volume: float = 1.0) -> None:
        self.done.append(("adjust_speech", speed, volume))


@cache
def receptionist(now: datetime = MONDAY) -> ScriptedChatter:
    """The shipped script; one engine serves all tests, as it serves all calls."""
    return ScriptedChatter(ScriptedOptions(), clock=lambda: now)


def office_tools(now: datetime = MONDAY) -> list[Tool]:
    catalog = ToolCatalog(clock=lambda zone: now)
    return catalog.tools_for(["calendar", "clock", "telephone"])


def schemas_of(tools: list[Tool]) -> list[ToolSchema]:
    return [ToolSchema(tool.name, tool.description, tool.parameters) for tool in tools]


async def reply_of(
    engine: Chatter, messages: list[Message], tools: list[ToolSchema]
) -> tuple[str, list[ToolRequest], list[Delta]]:
    deltas = [delta async for delta in engine.chat(messages, tools, ChatOptions())]
    text = "".join(delta.text for delta in deltas)
    return text, [request for delta in deltas for request in delta.tools], deltas


class Conversation:
    """What a caller types and what comes back, with the tools really run."""

    def __init__(self, engine: Chatter | None = None, tools: list[Tool] | None = None) -> None:
        self.engine = engine or receptionist()
        given = office_tools() if tools is None else tools
        self.tools = {tool.name: tool for tool in given}
        self.actions = FakeActions()
        self.messages: list[Message] = []
        self.calls: list[ToolRequest] = []

    async def say(self, text: str) -> str:
        """The caller says something; returns all that the agent says until it waits again."""
        self.messages.append({"role": "user", "content": text})
        return await self.turn()

    async def turn(self) -> str:
        said: list[str] = []
        while True:
            text, requests, _ = await reply_of(
                self.engine, self.messages, schemas_of(list(self.tools.values()))
            )
            if text:
                said.append(text)
                self.messages.append({"role": "assistant", "content": text})
            if not requests:
                return " ".join(said)
            ends = [await self._run(request) for request in requests]
            if any(ends):
                return " ".join(said)

    async def _run(self, request: ToolRequest) -> bool:
        self.calls.append(request)
        self.messages.append(tool_call_message(request))
        tool = self.tools[request.name]
        try:
            result = await tool.run(ToolCall(request.id, request.arguments, self.actions))
        except ToolFailed as error:
            result = {"error": str(error)}
        self.messages.append(tool_message(request.id, json.dumps(result)))
        return tool.ends_turn


def tool_call_message(request: ToolRequest) -> Message:
    function = {"name": request.name, "arguments": json.dumps(request.arguments)}
    call = {"id": request.id, "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call]}


def tool_message(id: str, content: str) -> Message:
    return {"role": "tool", "tool_call_id": id, "content": content}
