"""Chat completions, asked for by OpenAI's own client: text, tools, usage, streams."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from parley.engines.spec import Delta, ToolRequest, Usage
from parley.testing.engines import FakeChatter
from tests.api.openai.written_house import house_with
from tests.engines.servers.openai_chat import OpenAIChatServer, call, chunk
from tests.engines.servers.openai_chat import sse as told

ASK = [{"role": "user", "content": "Hello?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def mind_that_says(*deltas: Delta) -> FakeChatter:
    return FakeChatter(lambda _: deltas)


async def chunks_of(stream: Any) -> list[ChatCompletionChunk]:
    return [ChatCompletionChunk.model_validate(each.to_dict()) async for each in stream]


def text_in(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


async def test_a_reply_is_a_completion_of_openai_s() -> None:
    llm = mind_that_says(Delta(text="Good "), Delta(text="day."), Delta(usage=Usage(7, 3)))
    async with house_with(llm=llm) as house, house.client() as client:
        reply = await client.chat.completions.create(model="fake", messages=ASK)

    ChatCompletion.model_validate(reply.to_dict())
    assert reply.id.startswith("chatcmpl-")
    assert reply.model == "fake"
    assert reply.choices[0].message.content == "Good day."
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage and reply.usage.total_tokens == 10
    assert reply._request_id


def test_the_synchronous_client_is_served_as_well() -> None:
    async def ask() -> str | None:
        async with house_with() as house:

            def talk() -> str | None:
                with house.sync_client() as client:
                    reply = client.chat.completions.create(model="fake", messages=ASK)
                    return reply.choices[0].message.content

            return await asyncio.to_thread(talk)

    assert asyncio.run(ask()) == "Yes, indeed. "


async def test_a_stream_is_chunks_of_one_completion_that_end_with_its_usage() -> None:
    llm = mind_that_says(Delta(text="Good "), Delta(text="day."), Delta(usage=Usage(7, 3)))
    async with house_with(llm=llm) as house, house.client() as client:
        stream = await client.chat.completions.create(
            model="fake", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        headers = stream.response.headers
        chunks = await chunks_of(stream)

    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-request-id"]
    assert len({(each.id, each.created, each.model) for each in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text_in(chunks) == "Good day."
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage and chunks[-1].usage.total_tokens == 10
    assert all(each.usage is None for each in chunks[:-1])


async def test_a_stream_without_the_wish_for_usage_has_none() -> None:
    async with house_with() as house, house.client() as client:
        stream = await client.chat.completions.create(model="fake", messages=ASK, stream=True)
        chunks = await chunks_of(stream)

    assert all(each.choices and each.usage is None for each in chunks)


async def test_the_clients_stream_helper_gathers_parallel_tool_calls() -> None:
    wanted = (
        ToolRequest("call_1", "weather", {"city": "Zürich"}),
        ToolRequest("call_2", "weather", {"city": "Bern"}),
    )
    llm = mind_that_says(Delta(text="Let me look."), Delta(tools=wanted, finish="tool_calls"))
    async with house_with(llm=llm) as house, house.client() as client:
        asking = client.chat.completions.stream(model="fake", messages=ASK, tools=[WEATHER])
        async with asking as stream:
            names = [event.type async for event in stream]
            reply = await stream.get_final_completion()

    calls = reply.choices[0].message.tool_calls or []
    assert reply.choices[0].finish_reason == "tool_calls"
    assert [(c.id, json.loads(c.function.arguments)["city"]) for c in calls] == [
        ("call_1", "Zürich"),
        ("call_2", "Bern"),
    ]
    assert names.count("tool_calls.function.arguments.done") == 2


async def test_a_call_s_id_and_name_come_once_and_its_index_always() -> None:
    wanted = (ToolRequest("a", "weather", {"city": "Rome"}), ToolRequest("b", "weather", {}))
    llm = mind_that_says(Delta(tools=wanted))
    async with house_with(llm=llm) as house, house.client() as client:
        stream = await client.chat.completions.create(
            model="fake", messages=ASK, tools=[WEATHER], stream=True
        )
        chunks = await chunks_of(stream)

    pieces = [each for c in chunks for each in c.choices[0].delta.tool_calls or ()]
    assert [each.index for each in pieces] == [0, 0, 1, 1]
    assert [each.id for each in pieces] == ["a", None, "b", None]
    assert [each.function and each.function.name for each in pieces] == [
        "weather",
        None,
        "weather",
        None,
    ]


async def test_one_tool_at_a_time_where_parallel_calls_are_not_wanted() -> None:
    wanted = (ToolRequest("a", "weather", {}), ToolRequest("b", "weather", {}))
    llm = mind_that_says(Delta(tools=wanted))
    async with house_with(llm=llm) as house, house.client() as client:
        reply = await client.chat.completions.create(
            model="fake", messages=ASK, tools=[WEATHER], parallel_tool_calls=False
        )

    assert [each.id for each in reply.choices[0].message.tool_calls or ()] == ["a"]
    assert reply.choices[0].message.content is None


async def test_what_a_request_wants_reaches_the_engine() -> None:
    async with house_with(keeps_format=True) as house, house.client("acme") as client:
        await client.chat.completions.create(
            model="fake",
            messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ],
            tools=[WEATHER],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            max_completion_tokens=50,
            temperature=0.3,
            top_p=0.9,
            seed=4,
            user="me",
            service_tier="auto",
        )
        options, asked = house.llm.options[0], house.llm.asked[0]

    assert (options.max_tokens, options.temperature, options.top_p, options.seed) == (
        50,
        0.3,
        0.9,
        4,
    )
    assert (options.tool_choice, options.tenant) == ("weather", "acme")
    assert [each["role"] for each in asked] == ["system", "user", "assistant", "tool"]
    assert asked[1]["content"] == "Hi"
    assert asked[2]["tool_calls"][0]["function"]["name"] == "weather"
    assert asked[3]["tool_call_id"] == "c1"
    assert house.llm.tools[0].parameters["properties"] == {"city": {"type": "string"}}


async def test_allowed_tools_are_all_that_is_offered() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    async with house_with() as house, house.client() as client:
        await client.chat.completions.create(
            model="fake",
            messages=ASK,
            tools=[WEATHER, other],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "other"}}],
                },
            },
        )

    assert [tool.name for tool in house.llm.tools] == ["other"]
    assert house.llm.options[0].tool_choice == "required"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_ends_before_a_stop_word_though_the_engine_knows_none(stream: bool) -> None:
    llm = mind_that_says(Delta(text="one, tw"), Delta(text="o, ST"), Delta(text="OP, three"))
    async with house_with(llm=llm) as house, house.client() as client:
        asking = client.chat.completions.create
        if stream:
            chunks = await chunks_of(
                await asking(model="fake", messages=ASK, stop=["STOP", "END"], stream=True)
            )
            said = text_in(chunks)
        else:
            reply = await asking(model="fake", messages=ASK, stop="STOP")
            said = reply.choices[0].message.content or ""

    assert said == "one, two, "
    assert house.llm.open_iterators == 0


async def test_a_word_that_only_begins_like_a_stop_word_is_said() -> None:
    llm = mind_that_says(Delta(text="a ST"), Delta(text="ART and ST"))
    async with house_with(llm=llm) as house, house.client() as client:
        reply = await client.chat.completions.create(model="fake", messages=ASK, stop="STOP")

    assert reply.choices[0].message.content == "a START and ST"


async def test_tokens_are_estimated_where_the_engine_counts_none() -> None:
    async with house_with() as house, house.client() as client:
        reply = await client.chat.completions.create(model="fake", messages=ASK)

    assert reply.usage and reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0


async def test_a_reply_that_was_cut_says_so() -> None:
    llm = mind_that_says(Delta(text="Once upon"), Delta(finish="length"))
    async with house_with(llm=llm) as house, house.client() as client:
        reply = await client.chat.completions.create(model="fake", messages=ASK, max_tokens=2)

    assert reply.choices[0].finish_reason == "length"


async def test_an_upstream_server_s_tools_and_usage_pass_through() -> None:
    replies = [
        chunk(role="assistant", content=""),
        chunk(tool_calls=[call("", id="call_9", name="weather")]),
        chunk(tool_calls=[call('{"city":')]),
        chunk(tool_calls=[call(' "Oslo"}')]),
        chunk(finish="tool_calls"),
        told({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5}}),
        b"data: [DONE]\n\n",
    ]
    async with OpenAIChatServer(replies, models=["m", "n"]) as upstream:
        values = {"OPENAI_BASE_URL": upstream.base_url, "LLM_MODEL": "m"}
        async with house_with(values=values) as house, house.client() as client:
            reply = await client.chat.completions.create(
                model="openai:n",
                messages=ASK,
                tools=[WEATHER],
                response_format={"type": "json_object"},
                seed=1,
            )

    (wanted,) = reply.choices[0].message.tool_calls or ()
    assert (wanted.id, json.loads(wanted.function.arguments)) == ("call_9", {"city": "Oslo"})
    assert reply.usage and (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (20, 5)
    asked = upstream.asked[0]
    assert (asked["model"], asked["seed"]) == ("n", 1)
    assert asked["response_format"] == {"type": "json_object"}
