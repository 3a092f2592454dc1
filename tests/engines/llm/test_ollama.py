"""The Ollama engine: its chat, its models, and what it says of itself."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from parley.core.errors import (
    EngineFailed,
    EngineRefusedRequest,
    EngineUnavailable,
    ModelMissing,
    NotFound,
)
from parley.engines.keeper import ModelKeeper
from parley.engines.llm import ollama
from parley.engines.llm.ollama import SPEC, OllamaChatter, OllamaOptions
from parley.engines.llm.ollama_shelf import full_name
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
from tests.engines.servers.ollama import OllamaServer, done, line, said
from tests.engines.servers.openai_chat import OpenAIChatServer, Refusal


@asynccontextmanager
async def chatter_at(*urls, **options):
    chatter = OllamaChatter(OllamaOptions(base_url=urls, **options))
    try:
        yield chatter
    finally:
        await chatter.close()


@asynccontextmanager
async def answering(*replies, models=("llama3.2:3b",), **options):
    async with (
        OllamaServer(*replies, models=models) as server,
        chatter_at(server.url, **options) as chatter,
    ):
        yield server, chatter


def calls(*names_and_arguments):
    return [{"function": {"name": n, "arguments": a}} for n, a in names_and_arguments]


async def test_text_streams_with_usage_and_finish():
    async with answering() as (_, chatter):
        deltas = await deltas_of(chatter)

    assert [delta.text for delta in deltas if delta.text] == ["Hello ", "there."]
    assert (finish_of(deltas), usage_in(deltas)) == ("stop", [Usage(9, 4)])


async def test_the_request_sets_what_only_ollamas_own_route_can():
    async with answering(temperature=0.2, context_tokens=4096) as (server, chatter):
        await text_of(chatter, tools=[CLOCK, DIARY], tool_choice="clock", max_tokens=50)

    body = server.asked[0]
    assert body["options"] == {"num_predict": 50, "temperature": 0.2, "num_ctx": 4096}
    assert (body["keep_alive"], body["think"]) == ("30m", False)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["clock"]


async def test_tool_calls_come_whole_and_get_names():
    both = calls(("diary", {"day": "Monday"}), ("clock", {}))
    async with answering([said("", tool_calls=both), done()]) as (_, chatter):
        deltas = await deltas_of(chatter, tools=[CLOCK, DIARY])

    assert tools_in(deltas) == [("diary", {"day": "Monday"}), ("clock", {})]
    assert len({tool.id for delta in deltas for tool in delta.tools}) == 2
    assert finish_of(deltas) == "tool_calls"


async def test_past_tool_calls_are_told_in_ollamas_form():
    function = {"name": "diary", "arguments": '{"day": "Monday"}'}
    past = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": function}]},
        {"role": "tool", "tool_call_id": "a", "content": "busy"},
    ]
    async with answering() as (server, chatter):
        await text_of(chatter, past)

    asked, told = server.asked[0]["messages"][1:]
    assert asked["tool_calls"] == calls(("diary", {"day": "Monday"}))
    assert told == {"role": "tool", "content": "busy", "tool_name": "diary"}


async def test_the_openai_route_can_be_asked_for():
    async with answering(route="openai") as (server, chatter):
        text = await text_of(chatter)

    assert text == "Hello there."
    assert (len(server.openai_asked), server.asked) == (1, [])


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (Refusal(500, "llama runner has terminated"), EngineUnavailable, "runner"),
        (Refusal(400, "m does not support tools"), EngineRefusedRequest, "can call tools"),
        ([said("Hi"), line(error="out of memory")], EngineFailed, "out of memory"),
        ([said("Hi")], EngineFailed, "in the middle"),
        ([b"<html>\n"], EngineFailed, "nonsense"),
        ([said("Hi"), OpenAIChatServer.CUT], EngineUnavailable, "closed connection"),
    ],
)
async def test_each_failure_is_one_of_ours(reply, error, says):
    async with answering(reply) as (_, chatter):
        with pytest.raises(error) as caught:
            await text_of(chatter)

    assert caught.type is error
    assert says in str(caught.value)


async def test_closing_the_iterator_closes_the_connection():
    async with answering([said("Hi"), OpenAIChatServer.HANG]) as (server, chatter):
        deltas = chatter.chat(HELLO, (), ChatOptions())
        assert (await anext(deltas)).text == "Hi"
        await deltas.aclose()

        await server.client_left()

    assert server.gone == 1


async def test_a_missing_model_is_named_with_the_command_that_fetches_it():
    async with answering(models=("other:1b",)) as (_, chatter):
        status = await chatter.check()
        with pytest.raises(ModelMissing) as caught:
            await text_of(chatter)

    assert (status.ok, status.missing_model) == (False, "llama3.2:3b")
    assert status.hint == "Run: parley models pull ollama:llama3.2:3b"
    assert (caught.value.model, caught.value.hint) == ("llama3.2:3b", status.hint)


async def test_a_name_without_a_tag_is_the_latest():
    async with answering(models=("mistral:latest",), model="mistral") as (_, chatter):
        status = await chatter.check()

    assert status.ok
    assert full_name("host:5000/mistral") == "host:5000/mistral:latest"


async def test_pulling_sums_the_layers_and_ends_when_the_model_is_there():
    async with answering(models=()) as (_, chatter):
        steps = [step async for step in chatter.pull("llama3.2:3b")]
        status = await chatter.check()

    assert isinstance(chatter, ModelKeeper)
    assert [(s.done_bytes, s.total_bytes) for s in steps] == [
        (0, 0), (0, 1000), (500, 1000), (1000, 1000),
        (1000, 1200), (1100, 1200), (1200, 1200), (1200, 1200), (1200, 1200),
    ]  # fmt: skip
    assert steps[-1].says == "success"
    assert status.ok


async def test_a_pull_that_ollama_refuses_says_why():
    async with answering(models=()) as (server, chatter):
        server.pull_error = "pull model manifest: file does not exist"

        with pytest.raises(ModelMissing, match="file does not exist"):
            [step async for step in chatter.pull("lama3.2")]


async def test_closing_a_pull_stops_the_download():
    async with answering(models=()) as (server, chatter):
        server.may_pull.clear()
        steps = chatter.pull("llama3.2:3b")
        while (await anext(steps)).done_bytes < 1000:
            pass
        await steps.aclose()

        await server.client_left()

    assert server.models == {}


async def test_models_are_listed_with_their_sizes_and_removed():
    async with answering(models=("a:1b", "llama3.2:3b")) as (server, chatter):
        listed = await chatter.models()
        await chatter.remove("a:1b")
        with pytest.raises(NotFound, match="no model a:1b"):
            await chatter.remove("a:1b")

    assert [(m.id, m.bytes > 0, m.is_present) for m in listed] == [
        ("a:1b", True, True), ("llama3.2:3b", True, True),
    ]  # fmt: skip
    assert list(server.models) == ["llama3.2:3b"]


async def test_the_wanted_model_is_listed_before_it_is_there():
    async with answering(models=()) as (_, chatter):
        listed = await chatter.models()

    assert [(m.id, m.is_present) for m in listed] == [("llama3.2:3b", False)]


async def test_warming_up_loads_the_model_as_requests_will_want_it():
    async with answering() as (server, chatter):
        await chatter.warm_up()
        await text_of(chatter)

    load, asked = server.loads[0], server.asked[0]
    assert (load["model"], load["keep_alive"]) == (asked["model"], asked["keep_alive"])
    assert load["options"]["num_ctx"] == asked["options"]["num_ctx"]


async def test_a_slow_load_does_not_hold_the_start_up(monkeypatch):
    monkeypatch.setattr(ollama, "WARM_UP_S", 0.01)
    async with answering() as (server, chatter):
        server.may_load.clear()
        await chatter.warm_up()
        await chatter.close()

        await server.client_left()

    assert len(server.loads) == 1


async def test_an_ollama_that_is_away_fails_no_start():
    async with chatter_at("http://127.0.0.1:9") as chatter:
        await chatter.warm_up()
        status = await chatter.check()

    assert not status.ok
    assert "can't be reached" in status.detail


async def test_with_several_ollamas_one_that_has_the_model_is_enough_and_who_lacks_it_is_told():
    async with (
        OllamaServer() as good,
        OllamaServer(models=()) as empty,
        chatter_at(good.url, empty.url, "http://127.0.0.1:9") as chatter,
    ):
        status = await chatter.check()

    assert status.ok
    assert status.detail.startswith("1 of 3 can work")
    assert status.missing_model == "llama3.2:3b"


async def test_an_ollama_that_lacks_the_model_gets_it_and_meanwhile_no_requests():
    async with (
        OllamaServer() as good,
        OllamaServer(models=()) as empty,
        chatter_at(empty.url, good.url) as chatter,
    ):
        await chatter.check()
        for _ in range(3):
            await text_of(chatter)
        asked_before = len(empty.asked)
        async for _ in chatter.pull("llama3.2:3b"):
            pass
        status = await chatter.check()
        for _ in range(2):
            await text_of(chatter)

    assert asked_before == 0
    assert (good.pulls, empty.pulls) == ([], ["llama3.2:3b"])
    assert status.ok and not status.missing_model
    assert len(empty.asked) == 1


async def test_a_model_is_fetched_to_every_ollama_that_can_be_reached():
    async with (
        OllamaServer(models=()) as first,
        OllamaServer(models=()) as second,
        chatter_at(first.url, "http://127.0.0.1:9", second.url) as chatter,
    ):
        async for _ in chatter.pull("llama3.2:3b"):
            pass

    assert list(first.models) == list(second.models) == ["llama3.2:3b"]


def test_settings_choose_the_model():
    wish = EngineWish("ollama")
    url = {"OLLAMA_BASE_URL": "http://ollama:11434"}
    named = options_for(SPEC, wish, {**url, "OLLAMA_MODEL": "a", "LLM_MODEL": "b:1"})
    shared = options_for(SPEC, wish, {**url, "LLM_MODEL": "b:1"})
    foreign = options_for(SPEC, wish, {"LLM_MODEL": "gpt-4o-mini"})

    assert [each.named for each in (named, shared, foreign)] == ["a", "b:1", "llama3.2:3b"]
    assert [SPEC.available(each) for each in (named, foreign)] == [True, False]
