"""Asks a language model engine a question, for its tests."""

from __future__ import annotations

from parley.engines.spec import ChatOptions, ToolSchema

HELLO = [{"role": "user", "content": "Hello?"}]
CLOCK = ToolSchema("clock", "Tells the time.", {"type": "object", "properties": {}})
DIARY = ToolSchema(
    "diary", "Looks a day up.", {"type": "object", "properties": {"day": {"type": "string"}}}
)


async def deltas_of(chatter, messages=HELLO, tools=(), **options):
    return [delta async for delta in chatter.chat(messages, tools, ChatOptions(**options))]


async def text_of(chatter, messages=HELLO, tools=(), **options):
    return "".join(d.text for d in await deltas_of(chatter, messages, tools, **options))


def tools_in(deltas):
    return [(tool.name, tool.arguments) for delta in deltas for tool in delta.tools]


def usage_in(deltas):
    return [delta.usage for delta in deltas if delta.usage]


def finish_of(deltas):
    return next(delta.finish for delta in reversed(deltas) if delta.finish)
