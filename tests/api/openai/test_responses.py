"""Responses, asked for by OpenAI's own client: items, events, and carrying on from before."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from parley.api.openai.responses_store import ResponseStore
from parley.core.errors import NotFound
from parley.engines.spec import Delta, ToolRequest, Usage
from parley.testing.engines import FakeChatter, broken
from parley.testing.faults import Fault
from tests.api.openai.written_house import house_with

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
OSLO = ToolRequest("call_1", "weather", {"city": "Oslo"})


def mind_that_says(*deltas: Delta) -> FakeChatter:
    return FakeChatter(lambda _: deltas)


async def events_of(stream: Any) -> list[Any]:
    """Each event, read strictly by the SDK's own types."""
    return [EVENT.validate_python(event.to_dict()) async for event in stream]


async def test_a_response_is_one_of_openai_s() -> None:
    llm = mind_that_says(Delta(text="Good "), Delta(text="day."), Delta(usage=Usage(7, 3)))
    async with house_with(llm=llm) as house, house.client() as client:
        response = await client.responses.create(
            model="fake", input="Hello?", instructions="Be brief.", metadata={"a": "b"}
        )

    Response.model_validate(response.to_dict())
    assert response.output_text == "Good day."
    assert (response.status, response.metadata) == ("completed", {"a": "b"})
    assert response.usage and (response.usage.input_tokens, response.usage.total_tokens) == (7, 10)
    assert [each["role"] for each in house.llm.asked[0]] == ["system", "user"]


async def test_the_events_of_a_stream_are_numbered_and_whole() -> None:
    llm = mind_that_says(Delta(text="Good "), Delta(text="day."), Delta(tools=(OSLO,)))
    async with house_with(llm=llm) as house, house.client() as client:
        stream = await client.responses.create(
            model="fake", input="Hello?", tools=[WEATHER], stream=True
        )
        events = await events_of(stream)

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [e.output_index for e in events if hasattr(e, "output_index")] == [0] * 7 + [1] * 4
    message, asked = events[-1].response.output
    assert message.content[0].text == "Good day."
    assert (asked.call_id, json.loads(asked.arguments)) == ("call_1", {"city": "Oslo"})


async def test_the_clients_stream_helper_gathers_the_response() -> None:
    llm = mind_that_says(Delta(text="Let me look."), Delta(tools=(OSLO,)))
    async with (
        house_with(llm=llm) as house,
        house.client() as client,
        client.responses.stream(model="fake", input="?", tools=[WEATHER]) as stream,
    ):
        names = [event.type async for event in stream]
        response = await stream.get_final_response()

    assert response.output_text == "Let me look."
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert names[-1] == "response.completed"


async def test_calls_and_their_results_are_told_to_the_model_in_its_own_form() -> None:
    async with house_with() as house, house.client() as client:
        await client.responses.create(
            model="fake",
            tools=[WEATHER],
            input=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "input_text", "text": "Oslo and Rome?"}]},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Let me look."}],
                },
                {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
                {"type": "function_call", "call_id": "b", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "rain"},
                {"type": "function_call_output", "call_id": "b", "output": "sun"},
            ],
        )
        asked = house.llm.asked[0]

    assert [each["role"] for each in asked] == ["system", "user", "assistant", "tool", "tool"]
    assert asked[2]["content"] == "Let me look."
    assert [each["id"] for each in asked[2]["tool_calls"]] == ["a", "b"]
    assert [each["content"] for each in asked[3:]] == ["rain", "sun"]


async def test_a_conversation_carries_on_but_its_instructions_do_not() -> None:
    async with house_with() as house, house.client() as client:
        first = await client.responses.create(model="fake", input="One.", instructions="Be brief.")
        await client.responses.create(model="fake", input="Two.", previous_response_id=first.id)
        asked = house.llm.asked[-1]

    assert [(each["role"], each["content"].strip()) for each in asked] == [
        ("user", "One."),
        ("assistant", "Yes, indeed."),
        ("user", "Two."),
    ]


async def test_a_streamed_response_with_a_call_can_be_carried_on() -> None:
    llm = FakeChatter(
        lambda heard: "Rain." if heard[-1]["role"] == "tool" else Delta(tools=(OSLO,))
    )
    async with house_with(llm=llm) as house, house.client() as client:
        stream = await client.responses.create(
            model="fake", input="Weather?", tools=[WEATHER], stream=True
        )
        events = await events_of(stream)
        answer = await client.responses.create(
            model="fake",
            tools=[WEATHER],
            previous_response_id=events[-1].response.id,
            input=[{"type": "function_call_output", "call_id": "call_1", "output": "rain"}],
        )

    assert answer.output_text.strip() == "Rain."
    assert [each["role"] for each in llm.asked[-1]] == ["user", "assistant", "tool"]


async def test_what_is_not_to_be_stored_is_not_there_later() -> None:
    async with house_with() as house, house.client() as client:
        first = await client.responses.create(model="fake", input="One.", store=False)

        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model="fake", input="?", previous_response_id=first.id)

    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


async def test_another_tenant_s_response_is_not_there() -> None:
    async with house_with() as house, house.client("acme") as one, house.client("bee") as other:
        first = await one.responses.create(model="fake", input="One.")
        kept = await one.responses.retrieve(first.id)

        with pytest.raises(openai.NotFoundError):
            await other.responses.retrieve(first.id)
        with pytest.raises(openai.BadRequestError):
            await other.responses.create(model="fake", input="?", previous_response_id=first.id)

    assert kept.output_text == first.output_text


async def test_a_response_that_was_deleted_is_gone() -> None:
    async with house_with() as house, house.client() as client:
        first = await client.responses.create(model="fake", input="One.")
        await client.responses.delete(first.id)

        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(first.id)


async def test_a_reply_that_was_cut_is_incomplete() -> None:
    llm = mind_that_says(Delta(text="Once"), Delta(finish="length"))
    async with house_with(llm=llm) as house, house.client() as client:
        response = await client.responses.create(model="fake", input="?", max_output_tokens=1)

    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_a_failure_after_the_first_word_is_the_last_event() -> None:
    llm = FakeChatter(lambda _: "one two three", fault=Fault(after=2, error=broken("llm")))
    async with house_with(llm=llm) as house, house.client() as client:
        stream = await client.responses.create(model="fake", input="?", stream=True)
        events = await events_of(stream)

    assert events[-1].type == "response.failed"
    assert "broke" in events[-1].response.error.message
    assert events[-1].response.output[0].content[0].text == "one two "
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_failure_before_the_first_word_has_a_status() -> None:
    llm = FakeChatter(lambda _: broken("llm"))
    async with house_with(llm=llm) as house, house.client() as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.responses.create(model="fake", input="?", stream=True)

    assert (caught.value.status_code, caught.value.code) == (502, "engine_failed")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "web_search_call"}]}, "input.0"),
        ({"input": [{"role": "king", "content": "?"}]}, "input.0.role"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input.0.call_id"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
async def test_a_wrong_request_is_refused_by_the_name_of_its_field(
    changes: dict[str, Any], param: str
) -> None:
    async with house_with() as house, house.client() as client:
        body = {"model": "fake", "input": "?", **changes}

        with pytest.raises(openai.BadRequestError) as caught:
            await client.post("/responses", body=body, cast_to=object)

    assert caught.value.param == param


async def test_a_schema_is_handed_on_in_the_form_of_chat_completions() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    async with house_with(keeps_format=True) as house, house.client() as client:
        response = await client.responses.create(
            model="fake",
            input="?",
            text={"format": {"type": "json_schema", "name": "thing", "schema": schema}},
        )

    assert house.llm.options[0].response_format == {
        "type": "json_schema",
        "json_schema": {"name": "thing", "schema": schema},
    }
    Response.model_validate(response.to_dict())


def test_the_store_keeps_the_latest_and_forgets_in_time() -> None:
    now_s = 0.0
    store = ResponseStore(most=2, kept_s=60, clock=lambda: now_s)
    for name in ("a", "b", "c"):
        store.keep("acme", {"id": name}, [])
    store.keep("bee", {"id": "d"}, [])

    with pytest.raises(NotFound):
        store.get("acme", "a")
    assert store.get("acme", "b").body == {"id": "b"}
    now_s = 61.0
    for tenant, name in (("acme", "b"), ("bee", "d")):
        with pytest.raises(NotFound):
            store.get(tenant, name)


def test_the_store_keeps_no_more_than_its_bytes() -> None:
    store = ResponseStore(most_bytes=1000)
    store.keep("acme", {"id": "a"}, [{"role": "user", "content": "x" * 600}])
    store.keep("acme", {"id": "b"}, [{"role": "user", "content": "x" * 600}])

    with pytest.raises(NotFound):
        store.get("acme", "a")
    assert store.get("acme", "b")
