"""Responses out of band: beside the conversation, several at once, cancelled by name."""

from __future__ import annotations

from typing import Any

from parley.engines.spec import Delta, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.testing.faults import Fault
from parley.transports.realtime.apart import MOST_IN_ALL
from tests.transports.realtime.house import broken_model, never_answers, realtime_house


async def test_the_conversation_knows_nothing_of_it(listening: Listening):
    llm = FakeChatter(lambda _: "A secret.")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Hello.")
        apart = await client.ask(
            conversation="none", output_modalities=["text"], metadata={"topic": "x"}
        )
        await client.ask()

    about = [e["item"]["id"] for e in client.all("conversation.item.added")]
    assert (apart["conversation_id"], apart["metadata"]) == (None, {"topic": "x"})
    assert apart["output"][0]["id"] not in about
    assert house.asked[0] == house.asked[1]


async def test_it_can_be_spoken_with_a_voice_of_its_own(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.write("Hello.")
        apart = await client.ask(
            conversation="none",
            audio={"output": {"voice": "other", "format": {"type": "audio/pcma"}}},
        )

    assert apart["output"][0]["content"] == [{"type": "output_audio", "transcript": "Yes."}]
    assert len(client.sound(apart["id"])) >= 20 * 8
    assert house.calls.tts.options[-1].voice == "other"


async def test_several_run_at_once_beside_the_conversations_own(listening: Listening):
    async with realtime_house(listening, llm=never_answers()) as house, house.client() as client:
        await client.write("Hello.")
        begun: list[str] = []
        for number in range(3):
            wish: dict[str, Any] = {"metadata": {"number": str(number)}}
            if number:
                wish["conversation"] = "none"
            await client.send("response.create", response=wish)
            begun.append((await client.until("response.created"))["response"]["id"])
        done: list[dict[str, Any]] = []
        for response_id in reversed(begun):
            await client.send("response.cancel", response_id=response_id)
            done.append(await client.done())

    assert [each["id"] for each in done] == begun[::-1]
    assert {each["status"] for each in done} == {"cancelled"}
    assert house.llm.open_iterators == 0


async def test_one_that_is_cancelled_at_once_ends_too(listening: Listening):
    llm = FakeChatter(lambda _: "Yes.", fault=Fault(hangs=True))
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        for _ in range(9):
            await client.send("response.create", response={"conversation": "none", "input": []})
            response_id = (await client.until("response.created"))["response"]["id"]
        await client.send("response.cancel", response_id=response_id)
        waiting = await client.done()

    assert (waiting["id"], waiting["status"]) == (response_id, "cancelled")


async def test_only_so_many_may_wait(listening: Listening):
    async with realtime_house(listening, llm=never_answers()) as house, house.client() as client:
        for _ in range(MOST_IN_ALL + 1):
            await client.send("response.create", response={"conversation": "none", "input": []})
        error = await client.error()
        begun = client.all("response.created")
        await client.send("response.cancel", response_id=begun[-1]["response"]["id"])
        await client.done()
        await client.send("response.create", response={"conversation": "none", "input": []})
        await client.until("response.created")

    assert (error["code"], len(begun)) == ("too_many_responses", MOST_IN_ALL)


async def test_a_failure_ends_it_alone(listening: Listening):
    async with realtime_house(listening, llm=broken_model()) as house, house.client() as client:
        failed = await client.ask(conversation="none", output_modalities=["text"])
        house.llm.mind = lambda _: "Better."
        better = await client.ask(conversation="none", output_modalities=["text"])

    assert failed["status"] == "failed"
    assert "The model is away." in failed["status_details"]["error"]["message"]
    assert better["status"] == "completed"


async def test_it_may_want_a_function(listening: Listening):
    llm = FakeChatter(lambda _: Delta(tools=(ToolRequest("call_1", "look", {"at": "x"}),)))
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        tool = {"type": "function", "name": "look"}
        apart = await client.ask(conversation="none", tools=[tool], tool_choice="required")

    assert apart["output"][0]["name"] == "look"
    assert client.all("conversation.item.added") == []
