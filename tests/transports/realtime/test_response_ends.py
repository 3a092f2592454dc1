"""How responses end: cancelled, failed, too long; and that only one is under way at a time."""

from __future__ import annotations

import pytest

from parley.core.errors import EngineFailed
from parley.engines.spec import Delta, Usage
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter
from parley.testing.faults import LAST, Fault
from tests.transports.realtime.house import (
    broken_model,
    never_answers,
    realtime_house,
)

NO_TOKENS = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}


async def test_a_second_response_has_to_wait(listening: Listening):
    async with realtime_house(listening, llm=never_answers()) as house, house.client() as client:
        await client.write("Hello.")
        await client.send("response.create")
        first = await client.until("response.created")
        await client.send("response.create", event_id="second")
        error = await client.error()
        await client.send("response.cancel", response_id=first["response"]["id"])
        done = await client.done()

    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "second"
    assert (done["id"], done["status"]) == (first["response"]["id"], "cancelled")


async def test_what_is_not_under_way_cannot_be_cancelled(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.send("response.cancel")
        nothing = await client.error()
        await client.send("response.cancel", response_id="resp_unknown")
        unknown = await client.error()

    assert nothing["code"] == unknown["code"] == "response_cancel_not_active"


async def test_a_cancelled_response_says_nothing_more_and_the_next_begins_at_once(
    listening: Listening,
):
    llm = FakeChatter(lambda _: " ".join(["word"] * 300) + ".")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Talk.")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        await client.send("response.create", response={"instructions": "Second."})
        cancelled = await client.done()
        finished = len(client.told)
        second = (await client.until("response.created"))["response"]
        await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        await client.done()

    after = [e for e in client.told[finished:] if e.get("response_id") == cancelled["id"]]
    assert cancelled["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert cancelled["output"][0]["status"] == "incomplete"
    assert second["id"] != cancelled["id"]
    assert after == []
    assert house.llm.open_iterators == 0


async def test_a_cancelled_response_leaves_in_the_conversation_what_was_sent(listening: Listening):
    llm = FakeChatter(lambda _: " ".join(f"w{n}" for n in range(300)) + ".")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Talk.")
        await client.send("response.create")
        await client.until("response.output_audio_transcript.delta")
        await client.send("response.cancel")
        cancelled = await client.done()
        said = cancelled["output"][0]["content"][0]["transcript"]
        await client.send("response.create")
        await client.until("response.output_audio_transcript.delta")

    assert said
    assert house.asked[1][-1] == {"role": "assistant", "content": said}


async def test_a_model_that_fails_ends_the_response_and_not_the_session(listening: Listening):
    async with realtime_house(listening, llm=broken_model()) as house, house.client() as client:
        await client.write("Hello.")
        failed = await client.ask()
        house.llm.mind = lambda _: "Better."
        await client.until("response.done")
        better = await client.ask()

    assert failed["status"] == "failed"
    assert "The model is away." in failed["status_details"]["error"]["message"]
    assert better["output"][0]["content"][0]["transcript"] == "Better."


async def test_a_written_response_that_fails_is_followed_by_nothing(listening: Listening):
    async with realtime_house(listening, llm=broken_model()) as house, house.client() as client:
        await client.update(output_modalities=["text"])
        await client.write("Hello.")
        failed = await client.ask()
        house.llm.mind = lambda _: "Better."
        better = await client.ask()

    assert [failed["status"], better["status"]] == ["failed", "completed"]
    assert better["output"][0]["content"][0]["text"].strip() == "Better."


async def test_a_reply_that_breaks_off_is_told_as_failed(listening: Listening):
    fault = Fault(after=LAST, error=EngineFailed("Gone in the middle."))
    llm = FakeChatter(lambda _: [Delta(text="Half a sen")], fault=fault)
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(output_modalities=["text"])
        await client.write("Hello.")
        failed = await client.ask()

    assert failed["status"] == "failed"
    assert "Gone in the middle." in failed["status_details"]["error"]["message"]
    assert failed["output"][0]["status"] == "incomplete"


async def test_what_the_model_used_is_told(listening: Listening):
    reply = [Delta(text="Yes."), Delta(finish="stop", usage=Usage(11, 3))]
    llm = FakeChatter(lambda _: reply)
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Hello.")
        usage = (await client.ask())["usage"]

    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (11, 3, 14)


@pytest.mark.parametrize("ends", ["completed", "cancelled", "failed"])
async def test_usage_is_never_null(listening: Listening, ends: str):
    models = {"cancelled": never_answers, "failed": broken_model}
    llm = models.get(ends, lambda: FakeChatter(lambda _: "Yes."))()
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Hello.")
        await client.send("response.create")
        await client.until("response.created")
        if ends == "cancelled":
            await client.send("response.cancel")
        response = await client.done()

    assert response["status"] == ends
    assert NO_TOKENS.items() <= response["usage"].items()


async def test_a_response_that_is_too_long_is_incomplete(listening: Listening):
    llm = FakeChatter(lambda _: [Delta(text="Too long."), Delta(finish="length")])
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Hello.")
        response = await client.ask(max_output_tokens=2)

    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
