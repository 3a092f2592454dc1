"""Turns: how they are detected, committed and answered, and what the client is told of them."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from parley.core.audio import pcm_bytes
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber, last_user_text
from tests.transports.realtime.client import RATE_HZ
from tests.transports.realtime.house import realtime_house

HEARD = "what time is it"
TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
QUICK = {"type": "server_vad", "silence_duration_ms": 200}
READS = {"transcription": {"model": "whisper-1"}}


def of_turn(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events about what the user said."""
    return [e for e in told if e["type"] in TURN[:3] or (e.get("item") or {}).get("role") == "user"]


@pytest.mark.parametrize(
    "detection", [QUICK, {"type": "semantic_vad", "eagerness": "high"}], ids=lambda d: d["type"]
)
async def test_a_spoken_turn_goes_in_the_order_of_the_protocol(
    listening: Listening, words: bytes, detection: dict[str, Any]
):
    stt = FakeTranscriber(HEARD)
    llm = FakeChatter(lambda messages: f"You said {last_user_text(messages)}.")
    async with realtime_house(listening, stt=stt, llm=llm) as house, house.client() as client:
        await client.update_input(turn_detection=detection, **READS)
        begun = len(client.told)
        await client.speak(words, silence_ms=2500)
        response = await client.done()
        completed = client.all("conversation.item.input_audio_transcription.completed")

    told = client.told[begun:]
    turn, types = of_turn(told), [event["type"] for event in told]
    assert [event["type"] for event in turn] == TURN
    (item_id,) = {event.get("item_id") or event["item"]["id"] for event in turn}
    assert types.index("response.created") > types.index("conversation.item.done")
    assert turn[0]["audio_start_ms"] < turn[1]["audio_end_ms"]
    assert [(e["item_id"], e["transcript"]) for e in completed] == [(item_id, HEARD)]
    assert response["output"][0]["content"][0]["transcript"] == f"You said {HEARD}."


async def test_transcripts_are_told_to_those_who_want_them(listening: Listening, words: bytes):
    async with (
        realtime_house(listening, stt=FakeTranscriber(HEARD)) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=QUICK)
        await client.speak(words)
        item_id = (await client.until("input_audio_buffer.committed"))["item_id"]
        await client.done()
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.until("conversation.item.retrieved"))["item"]

    assert [t for t in client.types() if "transcription" in t] == []
    assert item["content"] == [{"type": "input_audio", "transcript": HEARD}]


async def test_a_turn_need_not_be_answered(listening: Listening, words: bytes):
    async with (
        realtime_house(listening, stt=FakeTranscriber(HEARD)) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection={**QUICK, "create_response": False}, **READS)
        await client.speak(words)
        await client.until("conversation.item.input_audio_transcription.completed")
        before = client.all("response.created")
        await client.ask()

    assert before == []
    assert house.asked[0][-1] == {"role": "user", "content": HEARD}


async def test_a_turn_that_is_not_understood_and_not_to_be_answered_is_left_alone(
    listening: Listening, words: bytes
):
    async with (
        realtime_house(listening, stt=FakeTranscriber("")) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection={**QUICK, "create_response": False}, **READS)
        await client.speak(words)
        done = await client.until("conversation.item.input_audio_transcription.completed")
        await client.update()

    assert done["transcript"] == ""
    assert client.all("response.created") == []


async def test_without_detection_the_client_says_when_a_turn_is_over(
    listening: Listening, words: bytes
):
    async with (
        realtime_house(listening, stt=FakeTranscriber(HEARD)) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=None, **READS)
        begun = len(client.told)
        await client.append(words)
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        await client.until("conversation.item.input_audio_transcription.completed")
        unasked = client.all("response.created")
        await client.ask()

    assert [event["type"] for event in of_turn(client.told[begun:])] == TURN[2:]
    assert committed["previous_item_id"] is None
    assert unasked == []
    assert house.asked[0][-1] == {"role": "user", "content": HEARD}


async def test_the_model_is_asked_when_what_was_committed_is_understood(
    listening: Listening, words: bytes
):
    async with (
        realtime_house(listening, stt=FakeTranscriber("one", "two")) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=None)
        for _ in range(2):
            await client.append(words)
            await client.send("input_audio_buffer.commit")
        await client.ask()

    assert [m["content"] for m in house.asked[0] if m["role"] == "user"] == ["one", "two"]


@pytest.mark.parametrize("ms", [0, 99])
async def test_too_little_sound_cannot_be_committed(listening: Listening, ms: int):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update_input(turn_detection=None)
        await client.append(bytes(pcm_bytes(ms, RATE_HZ)))
        await client.send("input_audio_buffer.commit", event_id="mine")
        error = await client.error()
        await client.append(bytes(pcm_bytes(100 - ms, RATE_HZ)))
        await client.send("input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")

    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "mine")


async def test_what_is_cleared_is_not_heard(listening: Listening, words: bytes):
    stt = FakeTranscriber("cleared", "kept")
    async with realtime_house(listening, stt=stt) as house, house.client() as client:
        await client.update_input(turn_detection=None)
        await client.append(words)
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.send("input_audio_buffer.commit")
        empty = await client.error()
        await client.append(words)
        await client.send("input_audio_buffer.commit")
        await client.ask()

    assert empty["code"] == "input_audio_buffer_commit_empty"
    assert len([m for m in house.asked[0] if m["role"] == "user"]) == 1
    assert max(stt.heard_ms[-1:]) == pytest.approx(len(words) / 48, abs=60)


async def test_pieces_of_any_size_are_heard_alike(listening: Listening, words: bytes):
    stt = FakeTranscriber("odd", "whole")
    async with realtime_house(listening, stt=stt) as house, house.client() as client:
        await client.update_input(turn_detection=None, **READS)
        for at in range(0, len(words), 777):
            await client.append(words[at : at + 777])
        for sound in (b"", words):
            await client.append(sound)
            await client.send("input_audio_buffer.commit")
            await client.until("conversation.item.input_audio_transcription.completed")

    odd, whole = stt.heard_ms
    assert odd == pytest.approx(whole, abs=40)


async def test_fifteen_mebibytes_may_come_at_once(listening: Listening, words: bytes):
    most = 15 * 1024 * 1024
    sound = words + bytes(most - len(words))
    async with (
        realtime_house(listening, stt=FakeTranscriber(*["x"] * 9)) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=None, **READS)
        await client.append(sound)
        await client.send("input_audio_buffer.commit")
        await client.until("conversation.item.input_audio_transcription.completed")
        heard_ms = sum(house.calls.stt.heard_ms)
        await client.append(sound + b"\0\0")
        error = await client.error()

    assert heard_ms == pytest.approx(most / 48, rel=0.01)
    assert error["code"] == "string_above_max_length"


async def test_a_voice_over_the_agents_need_not_stop_it(listening: Listening, words: bytes):
    llm = FakeChatter(lambda _: " ".join(["word"] * 60) + ".")
    stt = FakeTranscriber(HEARD)
    detection = {**QUICK, "interrupt_response": False, "create_response": False}
    async with realtime_house(listening, llm=llm, stt=stt) as house, house.client() as client:
        await client.update_input(turn_detection=detection)
        await client.write("Talk.")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.speak(words)
        done = await client.done()
        await client.until("input_audio_buffer.committed") if not client.all(
            "input_audio_buffer.committed"
        ) else None

    assert done["status"] == "completed"
    assert len(done["output"][0]["content"][0]["transcript"].split()) == 60


async def test_sound_in_real_time_is_heard_as_in_bursts(listening: Listening, words: bytes):
    async with (
        realtime_house(listening, stt=FakeTranscriber(HEARD)) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=QUICK, **READS)
        speaking = asyncio.create_task(_in_real_time(client, words))
        done = await client.until("conversation.item.input_audio_transcription.completed")
        speaking.cancel()

    assert done["transcript"] == HEARD


async def _in_real_time(client: Any, words: bytes) -> None:
    sound, step = words + bytes(pcm_bytes(8000, RATE_HZ)), pcm_bytes(100, RATE_HZ)
    for at in range(0, len(sound), step):
        await client.append(sound[at : at + step])
        await asyncio.sleep(0.1)


async def test_a_user_who_says_nothing_is_prompted(listening: Listening):
    detection = {**QUICK, "idle_timeout_ms": 1000}
    async with realtime_house(listening) as house, house.client() as client:
        await client.update_input(turn_detection=detection)
        await client.write("Hello.")
        await client.ask()
        triggered = await client.until("input_audio_buffer.timeout_triggered")
        committed = await client.until("input_audio_buffer.committed")
        second = await client.done()
        await client.update_input(turn_detection=QUICK)

    assert committed["item_id"] == triggered["item_id"]
    assert second["status"] == "completed"
    assert house.asked[1][-1] == {"role": "user", "content": "(silence)"}


async def test_the_sound_of_an_item_is_transcribed(listening: Listening, words: bytes):
    async with (
        realtime_house(listening, stt=FakeTranscriber(HEARD)) as house,
        house.client() as client,
    ):
        audio = base64.b64encode(words).decode()
        content = [{"type": "input_audio", "audio": audio}]
        item = await client.put({"type": "message", "role": "user", "content": content})
        await client.ask()

    assert item["content"] == [{"type": "input_audio", "transcript": HEARD}]
    assert house.asked[0][-1] == {"role": "user", "content": HEARD}


SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 5000}


async def test_a_turn_that_is_detected_can_be_committed_before_its_end(
    listening: Listening, words: bytes
):
    async with (
        realtime_house(listening, stt=FakeTranscriber("one", "two")) as house,
        house.client() as client,
    ):
        await client.update_input(turn_detection=SERVER_VAD, **READS)
        begun = len(client.told)
        await client.append(words)
        await client.send("input_audio_buffer.commit")
        await client.until("conversation.item.input_audio_transcription.completed")
        first = client.told[begun:]
        unasked = client.all("response.created")
        await client.ask()
        # Who goes on speaking begins another turn.
        await client.append(words)
        started = await client.until("input_audio_buffer.speech_started")
        await client.send("input_audio_buffer.commit")
        second = await client.until("input_audio_buffer.committed")
        await client.ask()

    assert [event["type"] for event in of_turn(first)] == TURN
    assert len({e["item_id"] for e in first if "item_id" in e}) == 1
    assert unasked == []
    assert second["item_id"] == started["item_id"] != first[0]["item_id"]
    assert [m["content"] for m in house.asked[1] if m["role"] == "user"] == ["one", "two"]


async def test_silence_can_be_committed_while_turns_are_detected_and_nothing_cannot(
    listening: Listening,
):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update_input(turn_detection=SERVER_VAD, **READS)
        await client.append(bytes(pcm_bytes(300, RATE_HZ)))
        await client.send("input_audio_buffer.commit")
        done = await client.until("conversation.item.input_audio_transcription.completed")
        await client.send("input_audio_buffer.commit")
        error = await client.error()

    assert done["transcript"] == ""
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert house.asked == []
