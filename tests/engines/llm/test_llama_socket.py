"""The llama.cpp engine over the WebSocket service that some telephone systems have."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from parley.core.errors import EngineFailed, EngineTimeout, EngineUnavailable
from parley.engines.llm.llama_cpp import LlamaCppChatter, LlamaCppOptions
from parley.engines.spec import ChatOptions
from tests.engines.llm.asking import CLOCK, HELLO, deltas_of, finish_of, text_of
from tests.engines.servers.llama_cpp import LlamaSocketServer

DONE = {"done": True}
CUT, HANG = LlamaSocketServer.CUT, LlamaSocketServer.HANG


@asynccontextmanager
async def answering(*replies, **options):
    async with LlamaSocketServer(*replies) as server:
        chatter = LlamaCppChatter(LlamaCppOptions(base_url=server.url, **options))
        try:
            yield server, chatter
        finally:
            await chatter.close()


async def test_text_streams_until_the_service_says_done():
    reply = [{"rag_context": "…", "context_length": 3}, {"chunk": "Hello "}, {"chunk": "there."}]
    async with answering([*reply, DONE], temperature=0.1, use_rag=True) as (server, chatter):
        deltas = await deltas_of(chatter, max_tokens=9)

    assert [delta.text for delta in deltas if delta.text] == ["Hello ", "there."]
    assert finish_of(deltas) == "stop"
    assert server.asked == [
        {
            "messages": HELLO,
            "max_tokens": 9,
            "stream": True,
            "temperature": 0.1,
            "use_rag": True,
        }
    ]


async def test_one_connection_serves_one_reply_after_the_other():
    async with answering() as (server, chatter):
        texts = [await text_of(chatter) for _ in range(3)]

    assert texts == ["Hello there."] * 3
    assert server.connections == 1


async def test_a_connection_that_died_meanwhile_is_replaced():
    async with answering() as (server, chatter):
        await text_of(chatter)
        for socket in list(server.live):
            socket.transport.abort()
        await server.has_gone.wait()

        assert await text_of(chatter) == "Hello there."

    assert server.connections == 2


async def test_closing_the_iterator_drops_the_connection():
    async with answering([{"chunk": "Hi"}, HANG], [{"chunk": "Yes."}, DONE]) as (server, chatter):
        deltas = chatter.chat(HELLO, (), ChatOptions())
        assert (await anext(deltas)).text == "Hi"
        await deltas.aclose()

        await server.has_gone.wait()
        assert await text_of(chatter) == "Yes."

    assert server.connections == 2


async def test_tools_are_explained_and_their_story_is_told_in_words():
    function = {"name": "clock", "arguments": "{}"}
    past = [
        {"role": "system", "content": "Be brief."},
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": function}]},
        {"role": "tool", "tool_call_id": "a", "content": "noon"},
    ]
    async with answering() as (server, chatter):
        await text_of(chatter, past, tools=[CLOCK])

    system, user, assistant, result = server.asked[0]["messages"]
    assert system["role"] == "system"
    assert '"name": "clock"' in system["content"]
    assert system["content"].endswith("Be brief.")
    assert user == HELLO[0]
    assert assistant == {"role": "assistant", "content": '{"name": "clock", "parameters": {}}'}
    assert result == {"role": "user", "content": "The tool's result: noon"}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ([{"error": "model crashed"}], EngineFailed),
        ([{"chunk": "Hi"}, {"error": "model crashed"}], EngineFailed),
        (["no json"], EngineFailed),
        (["[1]"], EngineFailed),
        ([CUT], EngineUnavailable),
        ([{"chunk": "Hi"}, CUT], EngineUnavailable),
        ([HANG], EngineTimeout),
    ],
)
async def test_each_failure_is_one_of_ours(reply, error):
    async with answering(reply, timeout_s=0.1) as (_, chatter):
        with pytest.raises(error) as caught:
            await text_of(chatter)

    assert caught.type is error


async def test_the_check_tells_whether_the_service_answers():
    async with answering() as (server, chatter):
        there = await chatter.check()
        gone = LlamaCppChatter(LlamaCppOptions(base_url="ws://127.0.0.1:9"))
        away = await gone.check()
        await gone.close()

    assert (there.ok, away.ok, server.connections) == (True, False, 1)
