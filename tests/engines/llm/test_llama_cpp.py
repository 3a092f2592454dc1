"""The llama.cpp engine over HTTP: warm prompts, slots, cancellation."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from parley.core.errors import EngineRefusedRequest, EngineUnavailable
from parley.engines.llm.llama_cpp import SPEC, LlamaCppChatter, LlamaCppOptions
from parley.engines.options import options_for
from parley.engines.spec import ChatOptions, Usage
from parley.engines.wish import EngineWish
from tests.engines.llm.asking import CLOCK, HELLO, deltas_of, text_of, tools_in, usage_in
from tests.engines.servers.llama_cpp import LlamaCppServer
from tests.engines.servers.openai_chat import DONE, OpenAIChatServer, Refusal, call, chunk, spoken


@asynccontextmanager
async def chatter_at(*urls, **options):
    chatter = LlamaCppChatter(LlamaCppOptions(base_url=urls, **options))
    try:
        yield chatter
    finally:
        await chatter.close()


@asynccontextmanager
async def answering(*replies, slots=2, **options):
    async with (
        LlamaCppServer(*replies, slots=slots) as server,
        chatter_at(server.url, **options) as chatter,
    ):
        yield server, chatter


def warm(server):
    """Of each request, whether it may be compared with what the slot has had."""
    return [body["cache_prompt"] for body in server.asked]


def slots_asked(server):
    return [body.get("id_slot") for body in server.asked]


async def test_text_streams_with_usage():
    async with answering(spoken("Hello ", "there.")) as (server, chatter):
        deltas = await deltas_of(chatter)

    assert "".join(delta.text for delta in deltas) == "Hello there."
    assert usage_in(deltas) == [Usage(11, 2)]
    assert (server.asked[0]["cache_prompt"], server.asked[0]["max_tokens"]) == (True, 400)
    assert "model" not in server.asked[0]


async def test_tools_are_called():
    pieces = [
        chunk(tool_calls=[call("{}", id="a", name="clock")]),
        chunk(finish="tool_calls"),
        DONE,
    ]

    async with answering(pieces) as (_, chatter):
        deltas = await deltas_of(chatter, tools=[CLOCK])

    assert tools_in(deltas) == [("clock", {})]


async def test_each_conversation_keeps_its_slot():
    async with answering(slots=2) as (server, chatter):
        for conversation in ("a", "b", "a", "b"):
            await text_of(chatter, conversation=conversation)

    assert slots_asked(server) == [0, 1, 0, 1]


async def test_the_conversation_that_was_silent_longest_gives_its_slot_up():
    async with answering(slots=2) as (server, chatter):
        for conversation in ("a", "b", "a", "c", "a"):
            await text_of(chatter, conversation=conversation)

    assert slots_asked(server) == [0, 1, 0, 1, 0]


async def test_no_slot_is_pinned_while_all_are_at_work():
    async with answering([chunk(content="Hi"), OpenAIChatServer.HANG], spoken("x"), slots=1) as (
        server,
        chatter,
    ):
        busy = chatter.chat(HELLO, (), ChatOptions(conversation="a"))
        await anext(busy)
        await text_of(chatter, conversation="b")
        await busy.aclose()
        await text_of(chatter, conversation="b")

    assert slots_asked(server) == [0, None, 0]


async def test_without_a_conversation_or_slots_nothing_is_pinned():
    async with answering(slots=0) as (server, chatter):
        await text_of(chatter, conversation="a")
        await text_of(chatter)

    assert slots_asked(server) == [None, None]


async def test_a_slot_that_another_tenant_had_is_read_anew():
    async with answering(slots=1) as (server, chatter):
        for tenant in ("acme", "acme", "bee", "bee", "acme"):
            await text_of(chatter, conversation=f"call of {tenant}", tenant=tenant)

    assert warm(server) == [True, True, False, True, False]


async def test_with_slots_of_their_own_tenants_keep_their_prompts_warm():
    async with answering(slots=2) as (server, chatter):
        for tenant in ("acme", "bee", "acme", "bee"):
            await text_of(chatter, conversation=f"call of {tenant}", tenant=tenant)

    assert warm(server) == [True, True, True, True]


async def test_where_the_server_chooses_the_slot_nothing_stays_warm_between_tenants():
    async with answering(slots=2) as (server, chatter):
        await text_of(chatter, tenant="acme")
        await text_of(chatter, conversation="c", tenant="acme")
        await text_of(chatter, tenant="acme")
        await text_of(chatter, tenant="bee")
        await text_of(chatter, conversation="c", tenant="acme")
        await text_of(chatter, conversation="c", tenant="acme")
        await text_of(chatter, tenant="acme")

    assert warm(server) == [True, True, True, False, False, True, False]


async def test_what_the_house_asks_for_itself_cools_nobodys_prompt():
    async with answering(slots=1) as (server, chatter):
        for tenant in ("", "acme", "", "acme"):
            await text_of(chatter, tenant=tenant)

    assert warm(server) == [True, True, True, True]


async def test_closing_the_iterator_stops_the_generation():
    async with answering([chunk(content="Hi"), OpenAIChatServer.HANG]) as (server, chatter):
        deltas = chatter.chat(HELLO, (), ChatOptions(conversation="a"))
        assert (await anext(deltas)).text == "Hi"
        await deltas.aclose()

        await server.client_left()

    assert server.gone == 1


async def test_a_server_that_still_loads_its_model_is_unavailable():
    async with answering() as (server, chatter):
        server.is_loading = True
        await chatter.warm_up()
        status = await chatter.check()
        with pytest.raises(EngineUnavailable, match="Loading model"):
            await text_of(chatter, conversation="a")
        server.is_loading = False

        assert (await chatter.check()).ok
        assert await text_of(chatter, conversation="a") == "Hello there."

    assert not status.ok
    assert "Loading model" in status.detail
    assert slots_asked(server) == [0]


async def test_after_a_failure_the_slots_are_counted_anew():
    broken = [chunk(content="Hi"), OpenAIChatServer.CUT]
    async with answering(broken, spoken("x"), slots=2) as (server, chatter):
        with pytest.raises(EngineUnavailable):
            await text_of(chatter, conversation="a")
        server.slots = 0
        await text_of(chatter, conversation="a")

    assert slots_asked(server) == [0, None]


async def test_a_conversation_that_is_too_long_is_refused_as_such():
    too_long = Refusal(400, "the request exceeds the available context size")

    async with answering(too_long) as (_, chatter):
        with pytest.raises(EngineRefusedRequest, match="context size"):
            await text_of(chatter)


@pytest.mark.parametrize("reasoning", [True, False, None])
async def test_reasoning_is_switched_where_asked(reasoning):
    async with answering(reasoning=reasoning) as (server, chatter):
        await text_of(chatter)

    wanted = None if reasoning is None else {"enable_thinking": reasoning}
    assert server.asked[0].get("chat_template_kwargs") == wanted


async def test_when_one_of_three_servers_dies_the_others_serve():
    async with (
        LlamaCppServer(spoken("a")) as first,
        LlamaCppServer([OpenAIChatServer.CUT]) as dying,
        LlamaCppServer(spoken("c")) as third,
        chatter_at(first.url, dying.url, third.url) as chatter,
    ):
        served, failed = [], 0
        for _ in range(12):
            try:
                served.append(await text_of(chatter))
            except EngineUnavailable:
                failed += 1

    assert (set(served), failed) == ({"a", "c"}, 1)


def test_only_an_address_makes_it_available():
    wish = EngineWish("llama_cpp")
    given = options_for(SPEC, wish, {"LLAMA_URL": "http://llama:8080", "LLM_MAX_TOKENS": 99})
    nothing = options_for(SPEC, wish, {})

    assert (given.base_url, given.max_tokens) == (("http://llama:8080",), 99)
    assert [SPEC.available(each) for each in (given, nothing)] == [True, False]
