"""What goes wrong with a chat completion reaches OpenAI's client as the right exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import openai
import pytest

from parley.access.reservations import RequestReservation
from parley.api.openai.chat_metering import LedgerMeter
from parley.core.errors import EngineBusy, EngineTimeout, EngineUnavailable, QuotaExceeded
from parley.engines.spec import Delta, Usage
from parley.store.records import Amounts
from parley.testing.engines import FakeChatter, broken
from parley.testing.faults import Fault
from tests.api.openai.written_house import house_with
from tests.engines.servers.openai_chat import OpenAIChatServer, Refusal

ASK = [{"role": "user", "content": "Hello?"}]
# A law of 100 ms, and air for a machine with other work.
SEEN_WITHIN_S = 2.0


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "?"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages.0.content.0"),
        ({"n": 2}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"messages": [{"role": "function", "name": "x", "content": "1"}]}, "messages.0.role"),
        (
            {"messages": [*ASK, {"role": "tool", "tool_call_id": "c1", "content": "1"}]},
            "messages.1.tool_call_id",
        ),
    ],
)
async def test_a_wrong_request_is_refused_by_the_name_of_its_field(
    changes: dict[str, Any], param: str
) -> None:
    async with house_with() as house, house.client() as client:
        body = {"model": "fake", "messages": ASK, **changes}

        with pytest.raises(openai.BadRequestError) as caught:
            await client.post("/chat/completions", body=body, cast_to=object)

    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id
    assert house.llm.asked == []


@pytest.mark.parametrize("name", ["", "gpt-4o-mini", "agent:nobody", "fake:other", "openai"])
async def test_a_model_that_is_not_there_is_404_and_those_that_are_are_named(name: str) -> None:
    async with house_with(values={}) as house, house.client() as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model=name, messages=ASK)

    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert ("tester" if name.startswith("agent:") else "agent:tester") in caught.value.message


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (broken("llm"), 502, "engine_failed"),
        (EngineTimeout("Too slow."), 504, "engine_timeout"),
        (EngineBusy("Full.", retry_after_s=3), 503, "engine_busy"),
    ],
)
async def test_an_engine_that_fails_before_its_first_word_has_a_status(
    error: Exception, status: int, code: str, stream: bool
) -> None:
    llm = FakeChatter(lambda _: error)
    async with house_with(llm=llm) as house, house.client() as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="fake", messages=ASK, stream=stream)

    assert (caught.value.status_code, caught.value.code) == (status, code)
    if isinstance(error, EngineBusy):
        assert caught.value.response.headers["retry-after"] == "3"


async def test_a_failure_after_the_first_word_ends_the_stream_with_an_error() -> None:
    llm = FakeChatter(lambda _: "one two three", fault=Fault(after=2, error=broken("llm")))
    async with house_with(llm=llm) as house, house.client() as client:
        stream = await client.chat.completions.create(model="fake", messages=ASK, stream=True)
        said = ""

        with pytest.raises(openai.APIError) as caught:
            async for each in stream:
                said += each.choices[0].delta.content or ""

    assert said == "one two "
    assert caught.value.code == "engine_failed"
    assert "broke" in caught.value.message


async def test_a_surprise_after_the_first_word_tells_nothing_of_the_inside() -> None:
    def mind(_: Any) -> list[Delta]:
        return [Delta(text="one "), Secret()]  # type: ignore[list-item]  # breaks when it is read

    async with house_with(llm=FakeChatter(mind)) as house, house.client() as client:
        stream = await client.chat.completions.create(model="fake", messages=ASK, stream=True)

        with pytest.raises(openai.APIError) as caught:
            async for _ in stream:
                pass

    assert "password" not in caught.value.message


class Secret:
    @property
    def text(self) -> str:
        raise RuntimeError("the password is 1234")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("the password is 1234")

    __hash__ = None  # type: ignore[assignment]  # like a list


class Endless(FakeChatter):
    """Says one word and never another; knows when it was stopped."""

    def __init__(self) -> None:
        super().__init__(lambda _: "")
        self.has_begun = asyncio.Event()
        self.has_stopped = asyncio.Event()

    async def chat(self, messages: Any, tools: Any, options: Any) -> AsyncGenerator[Delta]:
        try:
            yield Delta(text="one ")
            self.has_begun.set()
            await asyncio.Event().wait()
        finally:
            self.has_stopped.set()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", ["fake", "agent:tester"])
async def test_the_engine_stops_when_the_client_goes(stream: bool, model: str) -> None:
    llm = Endless()
    async with house_with(llm=llm) as house, house.client() as client:
        asking = asyncio.create_task(talk(client, model, stream))
        await llm.has_begun.wait()

        asking.cancel()

        async with asyncio.timeout(SEEN_WITHIN_S):
            await llm.has_stopped.wait()


async def test_the_engine_stops_when_the_client_goes_before_the_first_word() -> None:
    async with OpenAIChatServer([OpenAIChatServer.HANG]) as upstream:
        values = {"OPENAI_BASE_URL": upstream.base_url, "LLM_MODEL": "m"}
        async with house_with(values=values) as house, house.client() as client:
            asking = asyncio.create_task(talk(client, "openai", stream=True))
            await upstream.has_started.wait()

            asking.cancel()

            async with asyncio.timeout(SEEN_WITHIN_S):
                await upstream.client_left()


async def test_a_refusal_of_the_upstream_server_is_the_clients_fault() -> None:
    async with OpenAIChatServer(Refusal(400, "too many words")) as upstream:
        values = {"OPENAI_BASE_URL": upstream.base_url, "LLM_MODEL": "m"}
        async with house_with(values=values) as house, house.client() as client:
            with pytest.raises(openai.BadRequestError) as caught:
                await client.chat.completions.create(model="openai", messages=ASK)

    assert "too many words" in caught.value.message


async def test_the_upstream_s_missing_model_is_a_missing_model() -> None:
    refusal = Refusal(404, "The model `x` does not exist")
    async with OpenAIChatServer(refusal, models=Refusal(404)) as upstream:
        values = {"OPENAI_BASE_URL": upstream.base_url, "LLM_MODEL": "m"}
        async with house_with(values=values) as house, house.client() as client:
            with pytest.raises(openai.NotFoundError) as caught:
                await client.chat.completions.create(model="openai:x", messages=ASK)

    assert caught.value.code == "model_not_found"


async def test_the_clients_retry_gets_the_answer_of_an_engine_that_came_back() -> None:
    failures = [EngineUnavailable("Starting.")] * 4

    def mind(_: Any) -> Any:
        return failures.pop() if failures else "Here I am."

    async with house_with(llm=FakeChatter(mind)) as house, house.client() as client:
        patient = client.with_options(max_retries=2)
        reply = await patient.chat.completions.create(model="fake", messages=ASK)

    assert reply.choices[0].message.content == "Here I am. "


async def test_a_body_that_is_too_large_is_413() -> None:
    async with house_with() as house, house.client() as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(
                model="fake", messages=[{"role": "user", "content": "x" * 1_100_000}]
            )

    assert caught.value.status_code == 413


async def talk(client: openai.AsyncOpenAI, model: str, stream: bool) -> None:
    reply: Any = await client.chat.completions.create(model=model, messages=ASK, stream=stream)
    if stream:
        async for _ in reply:
            pass


class Purse:
    """Stands in for the access ledger: so many tokens are left."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.wanted: list[int] = []
        self.used: list[int] = []

    @asynccontextmanager
    async def metered(self, caller: Any, wanted: Amounts) -> AsyncGenerator[RequestReservation]:
        self.wanted.append(wanted.tokens)
        if wanted.tokens > self.tokens:
            raise QuotaExceeded(f"Tenant {caller.tenant} has too little left.")
        held = RequestReservation("res_1", caller, datetime.now(UTC))
        try:
            yield held
        finally:
            self.used.append(held.used.tokens)


async def test_who_has_no_tokens_left_is_refused_before_the_model_is_asked() -> None:
    async with house_with(meter=LedgerMeter(Purse(100))) as house, house.client() as client:
        patient = client.with_options(max_retries=2)
        with pytest.raises(openai.RateLimitError) as caught:
            await patient.chat.completions.create(model="fake", messages=ASK, max_tokens=200)
        with pytest.raises(openai.RateLimitError):
            await patient.responses.create(model="fake", input="?", max_output_tokens=200)

    assert caught.value.code == "insufficient_quota"
    assert house.llm.asked == []


async def test_what_was_used_is_charged_also_when_the_reply_broke_off() -> None:
    purse = Purse(10_000)
    llm = FakeChatter(lambda _: "one two three", fault=Fault(after=2, error=broken("llm")))
    async with house_with(llm=llm, meter=LedgerMeter(purse)) as house, house.client() as client:
        with pytest.raises(openai.APIError):
            await talk(client, "fake", stream=True)
        llm.fault = None
        llm.mind = lambda _: [Delta(text="Yes."), Delta(usage=Usage(30, 12))]
        await client.chat.completions.create(model="fake", messages=ASK, max_tokens=50)
        llm.mind = lambda _: broken("llm")
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="fake", messages=ASK)

    assert 0 < purse.used[0] < 100
    assert purse.used[1:] == [42, 0]
    assert purse.wanted[1] < 50 + 100
