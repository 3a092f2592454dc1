"""The OpenAI engine against a server that speaks its protocol, and its dialects."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from parley.core.errors import (
    EngineFailed,
    EngineRefusedRequest,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
)
from parley.engines.llm.openai import SPEC, OpenAIChatter, OpenAIOptions
from parley.engines.options import options_for
from parley.engines.spec import ChatOptions, Usage
from parley.engines.wish import EngineWish
from tests.engines.llm.asking import (
    CLOCK,
    DIARY,
    HELLO,
    deltas_of,
    finish_of,
    text_of,
    tools_in,
    usage_in,
)
from tests.engines.servers.openai_chat import (
    DONE,
    OpenAIChatServer,
    Refusal,
    call,
    chunk,
    spoken,
    sse,
)


@asynccontextmanager
async def chatter_at(*urls, **options):
    chatter = OpenAIChatter(OpenAIOptions(base_url=urls, model="m", **options))
    try:
        yield chatter
    finally:
        await chatter.close()


@asynccontextmanager
async def answering(*replies, **options):
    async with (
        OpenAIChatServer(*replies) as server,
        chatter_at(server.base_url, **options) as chatter,
    ):
        yield server, chatter


async def test_text_streams_with_usage_and_finish():
    async with answering(spoken("Hello ", "there.")) as (server, chatter):
        deltas = await deltas_of(chatter)

    assert [delta.text for delta in deltas if delta.text] == ["Hello ", "there."]
    assert (finish_of(deltas), usage_in(deltas)) == ("stop", [Usage(11, 2)])
    assert server.asked[0]["stream_options"] == {"include_usage": True}


async def test_the_request_carries_the_key_the_options_and_the_tools():
    options = {"api_key": "secret", "temperature": 0.3, "extra_body": {"seed": 7}}
    async with answering(**options) as (server, chatter):
        await text_of(chatter, tools=[CLOCK], max_tokens=9, stop=("END",), tool_choice="clock")

    body = server.asked[0]
    assert server.headers[0]["authorization"] == "Bearer secret"
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 9, 0.3)
    assert (body["stop"], body["seed"], body["stream"]) == (["END"], 7, True)
    assert body["tools"][0]["function"]["name"] == "clock"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "clock"}}
    assert body["messages"] == HELLO


async def test_parallel_tool_calls_are_gathered_from_their_fragments():
    pieces = [
        chunk(content="One moment."),
        chunk(tool_calls=[call("", id="a", name="diary")]),
        chunk(tool_calls=[call('{"day": "Mo')]),
        chunk(tool_calls=[call("", index=1, id="b", name="clock")]),
        chunk(tool_calls=[call('nday"}')]),
        chunk(finish="tool_calls"),
        DONE,
    ]
    async with answering(pieces) as (_, chatter):
        deltas = await deltas_of(chatter, tools=[CLOCK, DIARY])

    tools = [tool for delta in deltas for tool in delta.tools]
    assert [tool.id for tool in tools] == ["a", "b"]
    assert tools_in(deltas) == [("diary", {"day": "Monday"}), ("clock", {})]
    assert finish_of(deltas) == "tool_calls"


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param([call({"day": "x"}, id="a", name="diary")], id="arguments as an object"),
        pytest.param([call('{"day": "x"}', name="diary")], id="no id"),
        pytest.param([call('{"day": "x"}', index=None, name="diary")], id="no id, no index"),
        pytest.param([call('"{\\"day\\": \\"x\\"}"', id="a", name="diary")], id="wrapped twice"),
        pytest.param(
            [call('{"day"', index=None, id="a", name="diary"), call(': "x"}', index=None)],
            id="fragments without index",
        ),
        pytest.param(
            [call('{"day"', id="a", name="diary"), call(': "x"}', id="a", name="diary")],
            id="id and name in each fragment",
        ),
    ],
)
async def test_tool_calls_of_sloppy_servers_are_understood(fragments):
    pieces = [*(chunk(tool_calls=[each]) for each in fragments), chunk(finish="stop"), DONE]

    async with answering(pieces) as (_, chatter):
        deltas = await deltas_of(chatter, tools=[DIARY])

    assert tools_in(deltas) == [("diary", {"day": "x"})]
    assert all(tool.id for delta in deltas for tool in delta.tools)
    assert finish_of(deltas) == "tool_calls"


async def test_calls_that_are_all_numbered_zero_stay_apart():
    both = [call("{}", id="a", name="clock"), call("{}", id="b", name="clock")]

    async with answering([chunk(tool_calls=both), chunk(finish="tool_calls"), DONE]) as (
        _,
        chatter,
    ):
        deltas = await deltas_of(chatter, tools=[CLOCK])

    assert tools_in(deltas) == [("clock", {}), ("clock", {})]


async def test_arguments_that_are_no_object_fail_the_reply():
    pieces = [chunk(tool_calls=[call("[1]", id="a", name="clock")]), chunk(finish="stop"), DONE]

    async with answering(pieces) as (_, chatter):
        with pytest.raises(EngineFailed, match="no JSON object"):
            await deltas_of(chatter, tools=[CLOCK])


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b": ping\n\n", *spoken("Hi.")], id="pings"),
        pytest.param([sse({"choices": []}), *spoken("Hi.")], id="empty choices"),
        pytest.param([chunk(reasoning_content="hm"), *spoken("Hi.")], id="reasoning"),
        pytest.param([chunk(content=[{"type": "text", "text": "Hi."}]), DONE], id="parts"),
        pytest.param([chunk(content="Hi."), chunk(finish="stop")], id="no DONE"),
        pytest.param([chunk(content="Hi."), DONE], id="no finish"),
        pytest.param([b"".join(spoken("Hi.")).replace(b"\n", b"\r\n")], id="CRLF"),
        pytest.param([b"".join(spoken("Hi.")).replace(b"\n\n", b"\n")], id="no empty lines"),
        pytest.param([bytes([b]) for b in b"".join(spoken("Hi."))], id="byte by byte"),
        pytest.param(
            [json.dumps({"choices": [{"message": {"content": "Hi."}}]}, indent=1).encode()],
            id="not streamed",
        ),
    ],
)
async def test_what_servers_do_differently_changes_nothing(pieces):
    async with answering(pieces) as (_, chatter):
        deltas = await deltas_of(chatter)

    assert "".join(delta.text for delta in deltas) == "Hi."
    assert finish_of(deltas) == "stop"


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model."),
        ("stream_options", "Unrecognized request argument supplied: stream_options"),
        ("temperature", "Unsupported value: 'temperature' does not support 0.3 with this model."),
    ],
)
async def test_a_refused_field_is_left_out_from_then_on(field, says):
    async with answering(Refusal(400, says), spoken("Hi."), temperature=0.3) as (server, chatter):
        first, second = await text_of(chatter), await text_of(chatter)

    assert (first, second) == ("Hi.", "Hi.")
    assert [field in body for body in server.asked] == [True, False, False]
    if field == "max_tokens":
        assert [body.get("max_completion_tokens") for body in server.asked] == [None, 400, 400]


async def test_any_other_refusal_is_told_at_once():
    async with answering(Refusal(400, "This is too long.")) as (server, chatter):
        with pytest.raises(EngineRefusedRequest, match="too long"):
            await text_of(chatter)

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Refusal(401, "bad key"), EngineUnavailable),
        (Refusal(429, "slow down", **{"Retry-After": "7"}), EngineUnavailable),
        (Refusal(500, "oops"), EngineUnavailable),
        (Refusal(404, "The model `m` does not exist"), ModelMissing),
        ([b"<html>Welcome</html>"], EngineFailed),
        ([b"data: nonsense\n\n"], EngineFailed),
        ([b"data: [1, 2]\n\n"], EngineFailed),
        ([b"data: " + b"[" * 100_000 + b"\n\n"], EngineFailed),
        ([sse({"choices": [3]})], EngineFailed),
        ([b'error: {"code": 500, "message": "out of memory"}\n\n'], EngineFailed),
        (Refusal(307, "moved"), EngineFailed),
        ([chunk(content="Hi"), sse({"error": {"message": "out of memory"}})], EngineFailed),
        ([chunk(content="Hi")], EngineFailed),
        ([chunk(content="Hi"), OpenAIChatServer.CUT], EngineUnavailable),
        ([b"data: " + b"x" * 2_000_000], EngineFailed),
    ],
)
async def test_each_failure_is_one_of_ours(reply, error):
    async with answering(reply) as (_, chatter):
        with pytest.raises(error) as caught:
            await text_of(chatter)

    assert caught.type is error
    if isinstance(reply, Refusal) and reply.status == 429:
        assert caught.value.retry_after_s == 7


async def test_a_silent_server_times_out():
    async with answering([OpenAIChatServer.HANG], timeout_s=0.05) as (_, chatter):
        with pytest.raises(EngineTimeout):
            await text_of(chatter)


async def test_an_address_where_nobody_listens_is_unavailable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with chatter_at(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as chatter:
            with pytest.raises(EngineUnavailable, match="can't be reached"):
                await text_of(chatter)
            status = await chatter.check()

    assert not status.ok


async def test_closing_the_iterator_closes_the_connection():
    async with answering([chunk(content="Hi"), OpenAIChatServer.HANG]) as (server, chatter):
        deltas = chatter.chat(HELLO, (), ChatOptions())
        assert (await anext(deltas)).text == "Hi"
        await deltas.aclose()

        await server.client_left()

    assert server.gone == 1


async def test_one_connection_serves_one_reply_after_the_other():
    async with answering(spoken("Hi.")) as (server, chatter):
        await text_of(chatter)
        talks = list(server._talks)
        await text_of(chatter)

        assert list(server._talks) == talks


async def test_when_one_of_three_servers_dies_the_others_serve():
    async with (
        OpenAIChatServer(spoken("a")) as first,
        OpenAIChatServer(spoken("b"), [OpenAIChatServer.CUT]) as dying,
        OpenAIChatServer(spoken("c")) as third,
        chatter_at(first.base_url, dying.base_url, third.base_url) as chatter,
    ):
        healthy = {await text_of(chatter) for _ in range(3)}
        served, failed = [], 0
        for _ in range(12):
            try:
                served.append(await text_of(chatter))
            except EngineUnavailable:
                failed += 1

    assert healthy == {"a", "b", "c"}
    assert failed == 1
    assert set(served) == {"a", "c"}


async def test_a_conversation_returns_to_the_server_that_knows_it():
    async with (
        OpenAIChatServer(spoken("a")) as first,
        OpenAIChatServer(spoken("b")) as second,
        chatter_at(first.base_url, second.base_url) as chatter,
    ):
        one = {await text_of(chatter, conversation="one") for _ in range(3)}
        two = {await text_of(chatter, conversation="two") for _ in range(3)}

    assert sorted([*one, *two]) == ["a", "b"]


@pytest.mark.parametrize(
    ("models", "ok", "hint"),
    [
        (("m", "n"), True, ""),
        (("n",), False, "Set model to one it has: n."),
        ((), True, ""),
        (Refusal(404), True, ""),
        (Refusal(401), False, "Check the key"),
    ],
)
async def test_the_check_finds_a_missing_model(models, ok, hint):
    async with answering() as (server, chatter):
        server.models = models
        status = await chatter.check()

    assert (status.ok, status.hint.startswith(hint)) == (ok, True)


async def test_warming_up_fails_no_start_when_nobody_answers():
    async with chatter_at("http://127.0.0.1:9/v1") as chatter:
        await chatter.warm_up()

        assert not (await chatter.check()).ok


def test_the_sdk_is_not_imported_before_it_is_needed():
    code = "import sys, parley.engines.llm.openai; print('openai' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert asked.stdout.strip() == "False"


def test_settings_reach_the_engine_and_make_it_available():
    values = {"OPENAI_API_KEY": "k", "LLM_MODEL": "gpt-5", "LLM_MAX_TOKENS": 150}
    chosen = options_for(SPEC, EngineWish("openai"), values)
    plain = options_for(SPEC, EngineWish("openai"), {"LLM_MODEL": "llama3.2:3b"})
    custom = options_for(
        SPEC, EngineWish("openai"), {"LLM_MODEL": "llama3.2:3b", "OPENAI_BASE_URL": "http://a/v1"}
    )

    assert (chosen.model, chosen.max_tokens) == ("gpt-5", 150)
    assert (plain.model, custom.model) == ("gpt-4o-mini", "llama3.2:3b")
    assert [SPEC.available(each) for each in (chosen, plain, custom)] == [True, False, True]
    assert "k" not in repr(chosen.api_key)
