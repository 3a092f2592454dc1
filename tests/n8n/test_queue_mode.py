"""The nodes and the shipped workflows in n8n's queue mode."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.access.redis_server import redis_server
from tests.n8n.days import next_day
from tests.n8n.doors import ByMcp, ByWebhook
from tests.n8n.installation import Installation
from tests.n8n.instance import N8n, envelope, hook_of, running
from tests.n8n.parley import Conversation, conversation
from tests.n8n.queue_mode import Barriers, QueuedN8n
from tests.n8n.workbench import (
    Bench,
    bench_of,
    hotel_that_answers_later,
    keeper_of_ended_calls,
    registrations,
)
from tests.store import postgres

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def queued(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[QueuedN8n]:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        postgres.server(programs) as server_url,
    ):
        database_url = await postgres.new_database(server_url, "n8n")
        folder = tmp_path_factory.mktemp("queued")
        n8n = QueuedN8n(installation, folder, redis.url, database_url)
        async with running(n8n):
            yield n8n


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(
    queued: QueuedN8n, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("parley")
    # n8n gives out another address for its webhooks than the one that Parley was told.
    async with bench_of(queued, folder, PARLEY_TOOL_HOSTS=queued.door_host) as bench:
        yield bench


@pytest_asyncio.fixture(loop_scope="session")
async def talk(bench: Bench) -> AsyncIterator[Conversation]:
    async with conversation(bench.server) as talk:
        await talk.greeted()
        yield talk


async def booked(n8n: N8n, day: str) -> list[dict[str, Any]]:
    return [row for row in await n8n.rows() if row["day"] == day and row["state"] == "booked"]


async def test_the_worker_finds_books_refuses_moves_and_cancels(queued: QueuedN8n) -> None:
    day, before = next_day(), queued.runs("worker")

    free = (await queued.call("free_times", day=day)).result
    book = (await queued.call("book_appointment", name="Ada", day=day, time="10:00")).result
    other = await queued.call("book_appointment", name="Bob", day=day, time="10:00")
    move = await queued.call("move_appointment", name="ada", new_day=day, new_time="14:00")
    listed = (await queued.call("list_appointments", name="ADA")).result
    cancel = (await queued.call("cancel_appointment", name="Ada")).result

    assert "10:00" in free["times"]
    assert book["status"] == "booked"
    assert other.error == "slot_taken"
    assert (move.result["status"], move.result["time"]) == ("moved", "14:00")
    assert [each["time"] for each in listed["appointments"]] == ["14:00"]
    assert cancel["status"] == "cancelled"
    assert await booked(queued, day) == []
    assert queued.runs("worker") >= before + 6
    assert queued.runs("start") == queued.runs("webhook") == 0


async def test_of_ten_callers_at_once_one_gets_the_time(queued: QueuedN8n) -> None:
    day = next_day()

    answers = await asyncio.gather(
        *(
            queued.call_until_answered(
                "book_appointment", f"one-of-ten-{n}", name=f"P{n}", day=day, time="10:00"
            )
            for n in range(10)
        )
    )

    assert Counter(answer.body["ok"] for answer in answers) == {True: 1, False: 9}
    (won,) = [answer.result["name"] for answer in answers if answer.body["ok"]]
    assert [row["name"] for row in await booked(queued, day)] == [won]


async def test_a_claim_that_the_database_shows_late_takes_nobody_s_time(
    queued: QueuedN8n,
) -> None:
    day = next_day()
    async with queued.database() as connection:
        barriers = Barriers(connection)
        await barriers.set_up(writer="Late", booker="Prompt")

        async with asyncio.TaskGroup() as group:
            wish = {"day": day, "time": "10:00"}
            late = group.create_task(queued.call("book_appointment", name="Late", **wish))
            await barriers.reached(barriers.WRITES)
            # Its row has a higher number, and it can't see the one with the lower.
            prompt = group.create_task(queued.call("book_appointment", name="Prompt", **wish))
            await barriers.reached(barriers.BOOKS)
            await barriers.lift(barriers.WRITES)
            await asyncio.wait([late], timeout=2)
            await barriers.lift(barriers.BOOKS)
        await barriers.tear_down()

    assert prompt.result().result["status"] == "booked"
    assert late.result().error == "slot_taken"
    assert [row["name"] for row in await booked(queued, day)] == ["Prompt"]


async def test_a_request_that_comes_five_times_at_once_books_once(queued: QueuedN8n) -> None:
    day = next_day()
    wish = {"name": "Eve", "day": day, "time": "11:00"}

    answers = await asyncio.gather(
        *(queued.call_until_answered("book_appointment", "the-same-key", **wish) for _ in range(5))
    )

    assert {json.dumps(answer.result) for answer in answers} == {json.dumps(answers[0].result)}
    assert len(await booked(queued, day)) == 1


async def test_neither_door_lets_in_what_parley_has_not_signed(queued: QueuedN8n) -> None:
    body = json.dumps(envelope("free_times", {"day": next_day()})).encode()
    path, before = f"/webhook/{hook_of('free_times')}/tool", queued.runs("worker")

    answers = [await queued.post(path, body, {}) for _ in range(2)]

    assert [(answer.status, answer.error) for answer in answers] == [(401, "bad_signature")] * 2
    assert queued.runs("worker") == before


@pytest.mark.parametrize("way", [ByMcp, ByWebhook])
async def test_mcp_and_the_plain_webhook_lead_to_the_same_tools(
    queued: QueuedN8n, way: type[ByMcp] | type[ByWebhook]
) -> None:
    day, use = next_day(), way(queued)
    wish = {"day": day, "time": "10:00", "time_zone": ""}

    book = await use("book_appointment", "", name="Lea", **wish)
    other = await use("book_appointment", "", name="Max", **wish)

    assert book["result"]["status"] == "booked"
    assert other["error"]["code"] == "slot_taken"
    assert [row["name"] for row in await booked(queued, day)] == ["Lea"]


async def test_what_is_asked_while_the_worker_is_away_is_answered_when_it_is_back(
    queued: QueuedN8n,
) -> None:
    await queued.worker.stop(signal.SIGTERM)

    asking = asyncio.create_task(queued.call("free_times", day=next_day()))
    answered, _ = await asyncio.wait([asking], timeout=3)
    await queued.worker.start()
    answer = await asking

    assert not answered
    assert "10:00" in answer.result["times"]


async def test_a_workflow_reads_a_call_speaks_into_it_and_ends_it(
    bench: Bench, talk: Conversation
) -> None:
    named = {"resource": "call", "callId": talk.call_id}

    call = await bench.operate({**named, "operation": "get"})
    read = await bench.operate({**named, "operation": "getTranscript"})
    said = await bench.operate({**named, "operation": "say", "text": "Your taxi is here."})
    heard = await talk.greeted()
    ended = await bench.operate({**named, "operation": "hangUp"})

    assert (call["id"], call["status"]) == (talk.call_id, "live")
    assert [turn["role"] for turn in read["data"]] == ["agent"]
    assert said["id"] == talk.call_id
    assert "taxi" in heard
    assert ended["status"] in ("ending", "ended")


async def test_a_workflow_asks_the_caller_and_gets_the_answer(
    bench: Bench, talk: Conversation
) -> None:
    answer = await bench.ask(talk, "Shall I call you a taxi?", "yes")

    assert "yes" in answer["text"]


async def test_what_is_synthesised_can_be_transcribed(bench: Bench) -> None:
    text = "what are your opening hours"

    answer = await bench.operate(
        {"resource": "audio", "operation": "synthesise", "input": text, "format": "wav"},
        {"resource": "audio", "operation": "transcribe", "binaryField": "data"},
    )

    # The built-in recogniser mishears much of it.
    assert len(answer["text"].split()) > 2


async def test_events_of_calls_come_in_by_the_other_door_until_it_is_unpublished(
    bench: Bench, queued: QueuedN8n
) -> None:
    workflow_id = await bench.n8n.add_workflow(keeper_of_ended_calls())

    (registered,) = await registrations(bench.server, 1)
    async with conversation(bench.server) as talk:
        await talk.greeted()
    told = await bench.n8n.row_of("parley_errors", "message", talk.call_id)
    await bench.n8n.unpublish(workflow_id)
    await registrations(bench.server, 0)

    assert registered["url"].startswith(f"http://{queued.door_host}/")
    assert told["node"] == "call_ended"


async def test_a_tool_answers_later_and_tells_meanwhile_how_it_goes(bench: Bench) -> None:
    await bench.n8n.tag(await bench.n8n.add_workflow(hotel_that_answers_later()))
    await bench.server.logged("n8n_tools", "ask_hotel")

    async with conversation(bench.server, "guest") as talk:
        await talk.greeted()
        reply = await talk.say("where are you", until="twelve")

    assert talk.tools() == [("ask_hotel", "")]
    told = [str(event.get("text", "")) for event in talk.events]
    assert any("Nearly there" in each for each in told), told
    assert "twelve" in reply
