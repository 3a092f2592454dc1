"""Our nodes in a real n8n, talking with a running Parley."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.n8n.installation import Installation
from tests.n8n.instance import running_n8n
from tests.n8n.parley import Conversation, conversation
from tests.n8n.workbench import (
    Bench,
    bench_of,
    hotel_that_answers_later,
    keeper_of_ended_calls,
    registrations,
)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    async with (
        running_n8n(installation, tmp_path_factory.mktemp("n8n")) as n8n,
        bench_of(n8n, tmp_path_factory.mktemp("parley")) as bench,
    ):
        yield bench


@pytest_asyncio.fixture(loop_scope="session")
async def talk(bench: Bench) -> AsyncIterator[Conversation]:
    async with conversation(bench.server) as talk:
        await talk.greeted()
        yield talk


async def test_what_is_synthesised_can_be_transcribed(bench: Bench) -> None:
    text = "what are your opening hours"

    answer = await bench.operate(
        {"resource": "audio", "operation": "synthesise", "input": text, "format": "wav"},
        {"resource": "audio", "operation": "transcribe", "binaryField": "data"},
    )

    # The built-in recogniser mishears much of it.
    assert len(answer["text"].split()) > 2


async def test_a_call_is_seen_and_read(bench: Bench, talk: Conversation) -> None:
    named = {"callId": talk.call_id}

    call = await bench.operate({"resource": "call", "operation": "get", **named})
    read = await bench.operate({"resource": "call", "operation": "getTranscript", **named})

    assert (call["id"], call["status"]) == (talk.call_id, "live")
    assert read["call_id"] == talk.call_id
    assert [turn["role"] for turn in read["data"]] == ["agent"]


async def test_a_workflow_says_something_to_the_caller_and_hangs_up(
    bench: Bench, talk: Conversation
) -> None:
    named = {"resource": "call", "callId": talk.call_id}

    said = await bench.operate({**named, "operation": "say", "text": "Your taxi is here."})
    heard = await talk.greeted()
    ended = await bench.operate({**named, "operation": "hangUp"})

    assert said["id"] == talk.call_id
    assert "taxi" in heard
    assert ended["status"] in ("ending", "ended")


async def test_what_parley_refuses_is_told_in_its_own_words(
    bench: Bench, talk: Conversation
) -> None:
    transfer = await bench.operate(
        {"resource": "call", "operation": "transfer", "callId": talk.call_id, "target": "100"}
    )
    start = await bench.operate({"resource": "call", "operation": "start", "to": "tel:100"})
    nobody = await bench.operate({"resource": "call", "operation": "get", "callId": "call_none"})
    run = await bench.operate(
        {"resource": "toolRun", "operation": "answer", "runId": "run_none", "result": "{}"}
    )

    assert "error" in transfer and "error" in start
    assert "call_none" in nobody["error"] and "GET /v1/calls lists them." in nobody["error"]
    assert nobody["about"] == "Parley's code for it is not_found."
    assert "run" in run["error"]


async def test_a_published_workflow_hears_of_calls_until_it_is_unpublished(bench: Bench) -> None:
    workflow_id = await bench.n8n.add_workflow(keeper_of_ended_calls())

    registered = await registrations(bench.server, 1)
    async with conversation(bench.server) as talk:
        await talk.greeted()
    told = await bench.n8n.row_of("parley_errors", "message", talk.call_id)
    await bench.n8n.unpublish(workflow_id)
    await registrations(bench.server, 0)

    assert [hook["events"] for hook in registered] == [["call_ended"]]
    assert told["node"] == "call_ended"


async def test_a_workflow_asks_the_caller_and_gets_the_answer(
    bench: Bench, talk: Conversation
) -> None:
    answer = await bench.ask(talk, "Shall I call you a taxi?", "yes")

    assert "yes" in answer["text"]


async def test_a_tool_answers_later_and_tells_meanwhile_how_it_goes(bench: Bench) -> None:
    await bench.n8n.tag(await bench.n8n.add_workflow(hotel_that_answers_later()))
    await bench.server.logged("n8n_tools", "ask_hotel")

    async with conversation(bench.server, "guest") as talk:
        await talk.greeted()
        reply = await talk.say("where are you", until="twelve")

    assert talk.tools() == [("ask_hotel", "")]
    told = [str(event.get("text", "")) for event in talk.events]
    assert any("asking the hotel" in text for text in told), talk.events
    assert any("Nearly there" in text for text in told), told
    assert "twelve" in reply
