"""What LiveKit's OpenAI plug-in says over the Realtime WebSocket, event by event.

Its code is not here; the events are written down as they leave it, and were compared with what
livekit-plugins-openai 1.8.9 sent to a Parley that it talked with.
"""

from __future__ import annotations

from parley.engines.spec import Delta, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from tests.transports.realtime.house import realtime_house

PCM = {"type": "audio/pcm", "rate": 24000}
HEARING = {
    "format": PCM,
    "noise_reduction": None,
    "transcription": {"model": "gpt-4o-mini-transcribe"},
    "turn_detection": {
        "type": "semantic_vad",
        "eagerness": "medium",
        "create_response": True,
        "interrupt_response": True,
    },
}
SESSION = {
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "audio": {"input": HEARING, "output": {"format": PCM, "speed": 1.0, "voice": "marin"}},
    "max_output_tokens": "inf",
    "tool_choice": "auto",
    "tracing": None,
}
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
OSLO = Delta(tools=(ToolRequest("call_1", "weather", {"city": "Oslo"}),), finish="tool_calls")
HEADERS = {"User-Agent": "LiveKit Agents"}


async def test_it_sets_up_loads_a_chat_and_has_a_reply_generated(listening: Listening):
    llm = FakeChatter(lambda _: "It is sunny.")
    async with (
        realtime_house(listening, llm=llm) as house,
        house.client(extra_headers=HEADERS) as client,
    ):
        await client.update(**SESSION)
        await client.update(model="gpt-realtime", tools=[WEATHER])
        await client.update(instructions="You tell the weather.")
        user = {"id": "item_lk1", "type": "message", "role": "user"}
        user |= {"content": [{"type": "input_text", "text": "Hello?"}]}
        agent = {"id": "item_lk2", "type": "message", "role": "assistant"}
        agent |= {"content": [{"type": "output_text", "text": "Good day."}]}
        first = await client.put(user, previous_item_id="root", event_id="chat_ctx_create_1")
        second = await client.put(agent, previous_item_id="item_lk1", event_id="chat_ctx_create_2")
        wish = {"instructions": "Be brief.", "metadata": {"client_event_id": "response_create_1"}}
        done = await client.ask(**wish)

    created = client.all("response.created")[0]["response"]
    added = client.all("conversation.item.added")
    assert (first["id"], second["id"]) == ("item_lk1", "item_lk2")
    # It finds its own response again by the metadata, and its items by the one before.
    assert created["metadata"] == {"client_event_id": "response_create_1"}
    assert [event["previous_item_id"] for event in added] == [None, "item_lk1", "item_lk2"]
    assert client.all("response.content_part.added")[0]["part"]["type"] == "audio"
    assert done["status"] == "completed" and done["usage"]["output_token_details"]
    assert [m["content"] for m in house.asked[0]][-2:] == ["Hello?", "Good day."]


async def test_it_answers_for_its_tool_and_cancels_when_nothing_is_said(listening: Listening):
    llm = FakeChatter(lambda m: "Sunny." if m[-1]["role"] == "tool" else OSLO)
    async with realtime_house(listening, llm=llm) as house, house.client() as client:
        await client.update(**SESSION, tools=[WEATHER])
        await client.write("And in Oslo?")
        asked = await client.ask()
        output = {"id": "item_lk3", "type": "function_call_output"}
        output |= {"call_id": "call_1", "output": "sun"}
        await client.put(output, previous_item_id=asked["output"][0]["id"])
        told = await client.ask()
        await client.send("response.cancel")
        error = await client.error()

    call = asked["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "weather")
    assert call["arguments"] == '{"city": "Oslo"}'
    assert told["output"][0]["content"][0]["transcript"] == "Sunny."
    # To it that is no failure.
    assert error["code"] == "response_cancel_not_active"


async def test_its_recogniser_listens_in_a_transcription_session(
    listening: Listening, words: bytes
):
    heard = {"format": PCM, "transcription": {"model": "gpt-4o-mini-transcribe", "language": "en"}}
    heard["turn_detection"] = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 600,
        "silence_duration_ms": 350,
    }
    wish = {"type": "transcription", "audio": {"input": heard}}
    async with (
        realtime_house(listening, stt=FakeTranscriber("what time is it")) as house,
        house.client(model="", extra_query={"intent": "transcription"}) as client,
    ):
        await client.send("session.update", session=wish)
        await client.until("session.updated")
        await client.speak(words)
        completed = await client.until("conversation.item.input_audio_transcription.completed")

    deltas = client.all("conversation.item.input_audio_transcription.delta")
    assert completed["transcript"] == "what time is it"
    assert "".join(event["delta"] for event in deltas) == "what time is it"
    assert not client.all("response.created")
