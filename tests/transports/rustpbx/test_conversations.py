"""Whole conversations of every version of RustPBX's client: what a caller says and hears."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber, last_user_text
from parley.testing.speech import LEVEL_STEP, FakeSynthesizer
from parley.transports.rustpbx.options import RustPbxOptions
from tests.caller_voice import recorded
from tests.session.fakes import agent_with
from tests.transports.rustpbx.clients import (
    A_PARALLEL,
    PROFILES,
    A,
    C,
    PbxClient,
    Profile,
    pbx_call,
)
from tests.transports.rustpbx.grammar import Message
from tests.transports.rustpbx.served import PbxHouse, pbx_house

QUESTION = recorded("what time is it")


def echoes() -> FakeChatter:
    return FakeChatter(lambda messages: f"You said {last_user_text(messages)}.")


def words(count: int) -> str:
    return " ".join(["word"] * count)


def words_heard(client: PbxClient) -> int:
    """How many different words of the fake voice were played: each is a level of its own."""
    samples = np.frombuffer(b"".join(piece.pcm for piece in client.sound), np.int16)
    levels = np.rint(samples / LEVEL_STEP).astype(int)
    return len({int(level) for level in levels if level > 0 and (levels == level).sum() > 100})


async def asked(client: PbxClient) -> Message:
    """Ask, and hear the answer to its end."""
    await client.speak(QUESTION)
    return await client.until("llm_response", is_complete=True)


@pytest.mark.parametrize("profile", PROFILES, ids=str)
async def test_a_caller_is_greeted_understood_and_answered(listening: Listening, profile: Profile):
    stt = FakeTranscriber("what time is it")
    async with (
        pbx_house(listening, stt=stt, llm=echoes()) as house,
        pbx_call(house.url + profile.path, profile) as client,
    ):
        await client.until("configured", call_id=client.room_id)
        await client.until("tts_started")
        await client.until("tts_completed", text="Hello.")
        await client.speak(QUESTION)
        said = await client.until("transcription", is_final=True)
        answer = await client.until("llm_response", is_complete=True)
        waiting = client.made - client.sent

    assert client.told[0]["type"] == "connected"
    assert said["text"] == "what time is it"
    assert answer["text"] == "You said what time is it."
    assert client.heard_ms > 0
    assert {(len(piece.pcm), piece.rate_hz) for piece in client.sound} == {(640, 16_000)}
    # The telephone's sound leaves as it comes: nothing starves.
    assert waiting <= 15


@pytest.mark.parametrize("profile", [A, C], ids=str)
async def test_a_voice_over_the_agents_stops_it(listening: Listening, profile: Profile):
    stt = FakeTranscriber("tell me", "stop")
    llm = FakeChatter(lambda _: f"{words(60)}.")
    tts = FakeSynthesizer(word_ms=200)
    async with (
        pbx_house(listening, stt=stt, llm=llm, tts=tts) as house,
        pbx_call(house.url + profile.path, profile) as client,
    ):
        await client.until("tts_completed")
        await client.speak(QUESTION)
        await client.until("tts_started")
        await client.heard(400)
        await client.speak(QUESTION)
        await client.until("tts_completed")
        stopped = await house.happened.until("agent_speech_stopped", 2)
        ended = await house.happened.until("turn_ended", 2)
        heard_ms = client.heard_ms

    # Sixty words last twelve seconds; what came is what the call says was played, and the
    # greeting's 200 ms.
    assert ended.interrupted
    assert stopped.played_ms < 8000
    assert heard_ms == pytest.approx(stopped.played_ms + 200, abs=60)


async def test_a_prompt_is_followed_from_the_next_turn_on(listening: Listening):
    stt = FakeTranscriber(*["what time is it"] * 6)
    async with (
        pbx_house(listening, stt=stt, llm=echoes()) as house,
        pbx_call(f"{house.url}/ws/rustpbx", A) as client,
    ):
        await client.until("llm_response", is_complete=True)
        await asked(client)
        await client.reconfigure("Answer like a pirate.")
        await client.until("configured")
        await asked(client)
        await house.door.rooms.set_prompt("default", client.room_id, "Answer like a poet.")
        await asked(client)

    systems = [messages[0]["content"] for messages in house.asked]
    assert "You are a test." in systems[0]
    assert "Answer like a pirate." in systems[1] and "You are a test." not in systems[1]
    assert "Answer like a poet." in systems[-1] and "pirate" not in systems[-1]


async def test_ten_calls_at_once_do_not_mix(listening: Listening):
    agents = [
        agent_with(name=f"agent{n}", greeting=" ".join(["word"] * n) + ".") for n in range(1, 11)
    ]
    tts = FakeSynthesizer(word_ms=100)
    async with pbx_house(listening, agents=agents, tts=tts) as house:
        found = await asyncio.gather(*(_greeted(house, n) for n in range(1, 11)))

    assert [words_heard(client) for client in found] == list(range(1, 11))
    assert len({client.all("configured")[0]["call_id"] for client in found}) == 10
    for number, client in enumerate(found, start=1):
        assert client.all("tts_completed")[0]["text"] == f"{words(number)}."


async def _greeted(house: PbxHouse, number: int) -> PbxClient:
    profile = PROFILES[number % len(PROFILES)]
    url = f"{house.url}{profile.path}?agent=agent{number}"
    async with pbx_call(url, profile) as client:
        await client.until("tts_completed")
        return client


async def test_the_newest_client_may_be_spoken_to_in_binary(listening: Listening):
    async with (
        pbx_house(listening) as house,
        pbx_call(f"{house.url}/?audio=binary", C, rate_hz=8000) as client,
    ):
        await client.until("tts_completed", text="Hello.")

    assert client.all("audio") == []
    assert {(len(piece.pcm), piece.rate_hz) for piece in client.sound} == {(320, 8000)}
    assert words_heard(client) == 1


async def test_parallel_sockets_of_one_call_need_one_place(listening: Listening):
    async with (
        pbx_house(listening, max_calls=1) as house,
        pbx_call(f"{house.url}/ws/rustpbx", A_PARALLEL) as client,
    ):
        await client.until("tts_completed")
        live = house.host.live_calls
        started = [event for event in house.happened.events if event.name == "call_started"]

    assert (live, len(started)) == (1, 1)
    assert client.all("error") == []


async def test_a_client_that_only_pings_has_hung_up(listening: Listening):
    options = RustPbxOptions(silent_s=0.5)
    async with (
        pbx_house(listening, options=options) as house,
        pbx_call(f"{house.url}/", C) as client,
    ):
        await client.until("tts_completed")
        client.mute()
        code = await client.over()
        ended = await house.happened.until("call_ended")

    assert code == 1000
    assert ended.reason == "caller"


async def test_a_room_that_comes_back_within_moments_goes_on(listening: Listening):
    room_id = "rustpbx_" + "0" * 32
    stt, options = FakeTranscriber(*["what time is it"] * 3), RustPbxOptions()
    async with pbx_house(listening, stt=stt, llm=echoes(), options=options) as house:
        async with pbx_call(f"{house.url}/ws/rustpbx", A, room_id=room_id) as first:
            await first.until("tts_completed")
        async with pbx_call(f"{house.url}/ws/rustpbx", A, room_id=room_id) as second:
            await second.until("configured", call_id=room_id)
            await asked(second)
        started = [event for event in house.happened.events if event.name == "call_started"]

    assert len(started) == 1
    # The greeting was said in the first connection, and not again.
    assert second.all("tts_completed") == [] or "Hello." not in str(second.told)
    assert [m["content"] for m in house.asked[0] if m["role"] == "assistant"] == ["Hello."]


async def test_a_house_that_goes_down_waits_for_nobody_who_may_come_back(listening: Listening):
    agents, options = [agent_with(goodbye=f"{words(15)}.")], RustPbxOptions(grace_s=0.5)
    tts = FakeSynthesizer(word_ms=200)
    async with pbx_house(listening, agents=agents, tts=tts, options=options) as house:
        async with pbx_call(f"{house.url}/ws/rustpbx", A) as client:
            await client.until("tts_completed")
        async with asyncio.timeout(5):
            await house.host.drain(0)
        live = house.host.live_calls

    assert live == 0
