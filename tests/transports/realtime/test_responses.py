"""Responses that a client asks for: what they are like, and what the model was asked."""

from __future__ import annotations

from typing import Any

from parley.engines.spec import Delta
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, last_user_text
from tests.transports.realtime.house import (
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


BAD: list[tuple[dict[str, Any], str]] = [
    ({"output_modalities": []}, "response.output_modalities"),
    ({"max_output_tokens": 0}, "response.max_output_tokens"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "response.metadata"),
    ({"conversation": "other"}, "response.conversation"),
    ({"audio": {"output": {"voice": "nobody"}}}, "response.audio.output.voice"),
    ({"input": [{"type": "item_reference", "id": "nobody"}]}, "response.input.0"),
    ({"input": [{"type": "message", "role": "user"}]}, "response.input.0.content"),
    ({"tools": [{"type": "function"}]}, "response.tools.0.name"),
    ({"prompt": {"id": "pmpt_1"}}, "response.prompt"),
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
