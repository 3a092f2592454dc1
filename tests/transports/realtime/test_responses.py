"""Responses that a client asks for: what they are like, and what the model was asked."""

from __future__ import annotations

from typing import Any

import pytest

from parley.core.errors import EngineFailed
from parley.engines.spec import Delta, Usage
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, last_user_text
from parley.testing.faults import LAST, Fault
from tests.transports.realtime.house import (
    broken_model,
    never_answers,
    realtime_house,
)

TOLD = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
SPOKEN = [
    *TOLD,
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
NO_TOKENS = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}


def without_deltas(types: list[str]) -> list[str]:
    return [each for each in types if not each.endswith(".delta")]


async def test_a_spoken_response_goes_in_the_order_of_the_protocol(listening: Listening):
    llm = FakeChatter(lambda _: "It is noon. Come in.")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        item = await client.write("What time is it?")
        begun = len(client.told)
        response = await client.ask()

    told = client.told[begun:]
    added = next(event for event in told if event["type"] == "conversation.item.added")
    (said,) = response["output"]
    assert without_deltas([event["type"] for event in told]) == SPOKEN
    assert added["previous_item_id"] == item["id"]
    assert (added["item"]["status"], added["item"]["content"]) == ("in_progress", [])
    assert said["content"] == [{"type": "output_audio", "transcript": "It is noon. Come in."}]
    assert (response["status"], said["status"]) == ("completed", "completed")
    assert {e["item_id"] for e in client.all("response.output_audio.delta")} == {said["id"]}


async def test_the_transcript_comes_with_the_sound(listening: Listening):
    llm = FakeChatter(lambda _: "one two three.")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.write("Count.")
        await client.ask()

    deltas = [e["delta"] for e in client.all("response.output_audio_transcript.delta")]
    kinds = [t for t in client.types() if t.endswith("delta")]
    assert "".join(deltas) == "one two three."
    assert len(deltas) == 3
    assert kinds.index("response.output_audio_transcript.delta") < (
        len(kinds) - 1 - kinds[::-1].index("response.output_audio.delta")
    )


async def test_a_written_response_keeps_the_models_words_to_the_letter(listening: Listening):
    text = "First:\n\n- one\n- **two**  and more.\nDone."
    pieces = [Delta(text=each) for each in ("First:\n\n- o", "ne\n- **two**", "  and more.\nDone.")]
    llm = FakeChatter(lambda _: pieces)
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(output_modalities=["text"])
        await client.write("List it.")
        response = await client.ask()
        await client.write("Again.")
        await client.ask()

    deltas = [
        e["delta"]
        for e in client.all("response.output_text.delta")
        if e["response_id"] == response["id"]
    ]
    assert "".join(deltas) == text
    assert response["output"][0]["content"] == [{"type": "output_text", "text": text}]
    assert client.sound() == b""
    assert house.asked[1][-2] == {"role": "assistant", "content": text}


async def test_one_response_may_be_different(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update(instructions="Usual.", max_output_tokens=100)
        await client.write("Hello.")
        different = await client.ask(
            instructions="Different.",
            output_modalities=["text"],
            max_output_tokens=7,
            metadata={"topic": "x"},
            tools=[{"type": "function", "name": "look", "parameters": {"type": "object"}}],
            tool_choice="required",
        )
        offered = [tool.name for tool in house.llm.tools]
        usual = await client.ask()

    asked, options = house.asked, house.llm.options
    assert [each[0]["content"].split("\n")[0] for each in asked] == ["Different.", "Usual."]
    assert (different["metadata"], usual["metadata"]) == ({"topic": "x"}, None)
    assert (different["output_modalities"], usual["output_modalities"]) == (["text"], ["audio"])
    assert (different["max_output_tokens"], usual["max_output_tokens"]) == (7, 100)
    assert [each.max_tokens for each in options] == [7, 100]
    assert (offered, house.llm.tools) == (["look"], [])
    assert (options[0].tool_choice, options[1].tool_choice) == ("required", "")


async def test_one_response_may_have_another_voice_and_format(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.write("Hello.")
        other = await client.ask(
            audio={"output": {"voice": "other", "format": {"type": "audio/pcmu"}}}
        )
        await client.ask()

    shown = other["audio"]["output"]
    assert shown == {"voice": "other", "format": {"type": "audio/pcmu"}}
    assert [each.voice for each in house.calls.tts.options] == ["other", ""]


async def test_input_stands_in_the_place_of_the_conversation(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        kept = await client.write("Remember me.")
        await client.write("Forget me.")
        new = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "And me."}],
        }
        await client.ask(input=[{"type": "item_reference", "id": kept["id"]}, new])
        await client.ask(input=[])

    system = house.asked[0][0]
    assert house.asked[0] == [
        system,
        {"role": "user", "content": "Remember me."},
        {"role": "user", "content": "And me."},
    ]
    assert house.asked[1] == [system]


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


BAD: list[tuple[dict[str, Any], str]] = [
    ({"output_modalities": []}, "response.output_modalities"),
    ({"max_output_tokens": 0}, "response.max_output_tokens"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "response.metadata"),
    ({"conversation": "other"}, "response.conversation"),
    ({"audio": {"output": {"voice": "nobody"}}}, "response.audio.output.voice"),
    ({"input": [{"type": "item_reference", "id": "nobody"}]}, "response.input.0"),
    ({"input": [{"type": "message", "role": "user"}]}, "response.input.0.content"),
    ({"tools": [{"type": "function"}]}, "response.tools.0.name"),
]


async def test_a_bad_wish_is_named_and_begins_nothing(listening: Listening):
    named: list[str] = []
    async with realtime_house(listening) as house, house.client() as client:
        for response, _ in BAD:
            await client.send("response.create", response=response)
            named.append((await client.error())["param"])
        await client.update()

    assert named == [param for _, param in BAD]
    assert client.all("response.created") == []
    assert house.asked == []


async def test_the_model_sees_the_conversation_so_far(listening: Listening):
    llm = FakeChatter(lambda messages: f"You said {last_user_text(messages)}")
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        for text in ("one.", "two."):
            await client.write(text)
            await client.ask()

    assert [m["content"] for m in house.asked[1][1:]] == ["one.", "You said one.", "two."]
