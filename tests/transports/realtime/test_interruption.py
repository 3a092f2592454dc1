"""Interruptions: what the client is told, and that the model remembers what was heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parley.engines.spec import Message
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.transports.realtime.client import Client
from tests.transports.realtime.house import Hangs, realtime_house

QUICK = {"type": "server_vad", "silence_duration_ms": 200}
LONG = " ".join(f"w{n}" for n in range(60)) + "."
WORD_MS = 200


def first_long(length: str = LONG) -> Callable[[Any], str]:
    """Says much to whoever has said one thing, little later on."""

    def mind(messages: list[Message]) -> str:
        return length if sum(m["role"] == "user" for m in messages) == 1 else "Yes."

    return mind


def slow_voice() -> FakeSynthesizer:
    return FakeSynthesizer(word_ms=WORD_MS, piece_ms=20)


async def truncate(client: Client, item_id: str, audio_end_ms: int, index: int = 0) -> Any:
    await client.send(
        "conversation.item.truncate",
        item_id=item_id,
        content_index=index,
        audio_end_ms=audio_end_ms,
    )
    return await client.until("conversation.item.truncated", "error")


async def test_a_user_who_interrupts_the_thinking_is_answered(listening: Listening, words: bytes):
    thinking = Hangs()
    llm, stt = FakeChatter(lambda _: "Yes.", fault=thinking), FakeTranscriber("wait")
    async with realtime_house(listening, llm=llm, stt=stt) as house, house.client() as client:
        await client.update_input(turn_detection=QUICK)
        await client.write("Hello.")
        await client.send("response.create")
        await thinking.begun.wait()
        llm.fault = None
        await client.speak(words)
        cancelled, answered = await client.done(), await client.done()

    types = client.types()
    assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert cancelled["output"] == []
    assert types.index("input_audio_buffer.speech_started") < types.index("response.done")
    assert answered["status"] == "completed"
    assert [m["content"] for m in house.asked[-1][1:]] == ["Hello.", "wait"]


async def test_the_model_remembers_exactly_the_words_that_were_heard(
    listening: Listening, words: bytes
):
    llm, stt = FakeChatter(first_long()), FakeTranscriber("wait")
    async with (
        realtime_house(listening, llm=llm, stt=stt, tts=slow_voice()) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=QUICK)
        await client.write("Talk.")
        await client.send("response.create")
        item_id = (await client.until("response.output_audio.delta"))["item_id"]
        await client.speak(words)
        await client.until("input_audio_buffer.speech_started")
        cancelled = await client.done()
        over = len(client.told)
        cut = await truncate(client, item_id, 2 * WORD_MS + 50)
        await client.done()
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.until("conversation.item.retrieved"))["item"]

    later = [e for e in client.told[over:] if e.get("response_id") == cancelled["id"]]
    assert (cancelled["status"], cancelled["output"][0]["status"]) == ("cancelled", "incomplete")
    assert later == []
    assert cut["audio_end_ms"] == 2 * WORD_MS + 50
    assert house.asked[-1][1:] == [
        {"role": "user", "content": "Talk."},
        {"role": "assistant", "content": "w0 w1"},
        {"role": "user", "content": "wait"},
    ]
    assert item["content"] == [{"type": "output_audio", "transcript": "w0 w1"}]


async def test_a_reply_that_is_still_being_played_can_be_cut(listening: Listening, words: bytes):
    llm, stt = FakeChatter(first_long("one two three four.")), FakeTranscriber("wait")
    async with (
        realtime_house(listening, llm=llm, stt=stt, tts=slow_voice()) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=QUICK)
        await client.write("Talk.")
        finished = await client.ask()
        await client.speak(words)
        await client.until("input_audio_buffer.speech_started")
        await truncate(client, finished["output"][0]["id"], 650)
        answered = await client.done()

    assert (finished["status"], answered["status"]) == ("completed", "completed")
    assert house.asked[-1][2:] == [
        {"role": "assistant", "content": "one two three"},
        {"role": "user", "content": "wait"},
    ]


async def test_two_sentences_are_one_item_and_are_cut_as_one(listening: Listening):
    llm = FakeChatter(first_long("One two. Three four."))
    async with (
        realtime_house(listening, llm=llm, tts=slow_voice()) as house,
        house.client() as client,
    ):
        await client.write("Talk.")
        response = await client.ask()
        (item,) = response["output"]
        await truncate(client, item["id"], 3 * WORD_MS + 150)
        await client.write("Go on.")
        await client.ask()

    assert house.asked[-1][2] == {"role": "assistant", "content": "One two. Three"}


@pytest.mark.parametrize(
    ("ends_ms", "remembered"),
    [((10_000_000,), "one two three four."), ((410, 700), "one two"), ((0,), None)],
    ids=["beyond the end", "twice", "nothing"],
)
async def test_what_was_heard_only_shrinks(
    listening: Listening, ends_ms: tuple[int, ...], remembered: str | None
):
    llm = FakeChatter(first_long("one two three four."))
    async with (
        realtime_house(listening, llm=llm, tts=slow_voice()) as house,
        house.client() as client,
    ):
        await client.write("Talk.")
        item_id = (await client.ask())["output"][0]["id"]
        cuts = [await truncate(client, item_id, end_ms) for end_ms in ends_ms]
        await client.write("Go on.")
        await client.ask()

    said = [m["content"] for m in house.asked[-1] if m["role"] == "assistant"]
    assert said == ([remembered] if remembered else [])
    assert all(cut["audio_end_ms"] <= 4 * WORD_MS + 50 for cut in cuts)


async def test_only_the_agents_speech_can_be_cut(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        mine = await client.write("Hello.")
        item_id = (await client.ask())["output"][0]["id"]
        user = await truncate(client, mine["id"], 10)
        unknown = await truncate(client, "nobody", 10)
        index = await truncate(client, item_id, 10, index=1)

    assert [each["error"]["param"] for each in (user, unknown, index)] == [
        "item_id",
        "item_id",
        "content_index",
    ]
    assert unknown["error"]["code"] == "item_truncate_invalid_item_id"


async def test_a_reply_may_be_cancelled_and_cut(listening: Listening):
    llm = FakeChatter(first_long())
    async with (
        realtime_house(listening, llm=llm, tts=slow_voice()) as house,
        house.client() as client,
    ):
        await client.write("Talk.")
        await client.send("response.create")
        item_id = (await client.until("response.output_audio.delta"))["item_id"]
        await client.until("response.output_audio_transcript.delta")
        await client.send("response.cancel")
        await client.done()
        await truncate(client, item_id, WORD_MS + 50)
        await client.write("Go on.")
        await client.ask()

    assert house.asked[-1][2] == {"role": "assistant", "content": "w0"}
