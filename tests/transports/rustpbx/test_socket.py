"""The socket: what a PBX is told and when, and what it may say."""

from __future__ import annotations

import base64
import json

import pytest

from parley.agents.schema import Agent
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.session.fakes import agent_with
from tests.transports.rustpbx.grammar import read_message
from tests.transports.rustpbx.house import MUTE, RATE_HZ, pbx_house


def slow_talker(words: int = 60) -> tuple[FakeSynthesizer, Agent]:
    """An agent whose greeting lasts long enough to be interrupted, and the voice for it."""
    greeting = " ".join(f"word{number}" for number in range(words))
    return FakeSynthesizer(word_ms=200), agent_with(greeting=greeting)


async def test_a_pbx_is_greeted_and_answered_in_messages_that_it_can_read(
    listening: Listening, words: bytes
):
    stt, llm = FakeTranscriber("what time is it"), FakeChatter(lambda _: "Half past ten.")
    async with pbx_house(listening, stt=stt, llm=llm) as house, house.pbx() as pbx:
        configured = await pbx.configure("rustpbx_ab")
        await pbx.until("llm_response", text="Hello.", is_complete=True)
        await pbx.say(words)
        heard = await pbx.until("transcription", is_final=True)
        answer = await pbx.until("llm_response", is_complete=True)
        await pbx.until("metrics", key="reply_ms")

    types = [message["type"] for message in pbx.told]
    assert types[0] == "connected"
    assert configured["call_id"] == "rustpbx_ab"
    assert (heard["text"], heard["language"]) == ("what time is it", "en")
    assert answer["text"] == "Half past ten."
    assert {"tts_started", "tts_completed", "audio"} <= set(types)
    assert all(read_message(json.dumps(message)) for message in pbx.told)


async def test_a_client_that_waits_to_be_spoken_to_is_spoken_to(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        await pbx.until("connected")
        await pbx.ticked(20)

    assert len(pbx.told) == 1


async def test_the_handshake_is_one_that_the_client_accepts(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        answer = pbx.socket.response
        await pbx.until("connected")

    assert answer is not None
    assert answer.headers["Connection"].casefold() == "upgrade"
    assert "Sec-WebSocket-Protocol" not in answer.headers
    assert "Sec-WebSocket-Extensions" not in answer.headers


async def test_a_client_that_configures_nothing_is_answered_all_the_same(listening: Listening):
    async with pbx_house(listening) as house, house.pbx() as pbx:
        started = await house.until("call_started")
        greeted = await pbx.until("llm_response", is_complete=True)
        room = house.rooms.find("default", started.call_id)
        late = await pbx.configure("rustpbx_late")
        renamed = house.rooms.find("default", "rustpbx_late")

    assert greeted["text"] == "Hello."
    assert room is renamed is not None
    assert late["call_id"] == "rustpbx_late"


async def test_every_path_leads_to_the_same_socket(listening: Listening):
    paths = ("/", "/ws/rustpbx", "/ws/rustpbx/", "/ws/rustpbx/some-token")
    async with pbx_house(listening, agents=[MUTE]) as house:
        for number, path in enumerate(paths):
            async with house.pbx(path=path) as pbx:
                configured = await pbx.configure(f"rustpbx_{number}")

                assert configured["status"] == "success"


async def test_a_ping_gets_its_own_time_back(listening: Listening):
    async with pbx_house(listening, agents=[MUTE]) as house, house.pbx() as pbx:
        await pbx.send("ping", timestamp=1_760_000_000_000)
        answered = await pbx.until("pong")
        await pbx.send("ping", timestamp=1.5)
        other = await pbx.until("pong")

    assert answered["timestamp"] == 1_760_000_000_000
    assert isinstance(other["timestamp"], int)


async def test_sound_is_heard_in_json_and_in_base64_at_its_own_rate(
    listening: Listening, words: bytes
):
    stt = FakeTranscriber("in integers", "in base64")
    async with (
        pbx_house(listening, agents=[MUTE], stt=stt) as house,
        house.pbx() as pbx,
    ):
        await pbx.configure()
        for form in (list(words), base64.b64encode(words).decode()):
            await pbx.send("audio", audio_data=form, sample_rate=RATE_HZ, channels=1)
            await pbx.send("audio", data=[0, 0] * RATE_HZ, sample_rate=RATE_HZ)
            await pbx.until("transcription", is_final=True)

    finals = [each["text"] for each in pbx.all("transcription") if each["is_final"]]
    assert finals == ["in integers", "in base64"]


@pytest.mark.parametrize(
    ("query", "configured_hz", "heard_hz"),
    [("", 8000, 16_000), ("?rate=8000", 16_000, 8000), ("?audio=binary", 8000, 8000)],
)
async def test_the_voice_comes_in_whole_pieces_at_the_rate_that_was_agreed(
    listening: Listening, query: str, configured_hz: int, heard_hz: int
):
    async with pbx_house(listening) as house, house.pbx(query) as pbx:
        await pbx.configure(tts_config={"sample_rate": configured_hz})
        await pbx.until("tts_completed")

    sizes = {len(piece) for _, piece in pbx.pieces}
    rates = {message["sample_rate"] for message in pbx.all("audio")}
    assert sizes == {heard_hz // 50 * 2}
    assert rates == (set() if "binary" in query else {heard_hz})


async def test_a_rate_at_which_nothing_is_said_is_told_and_the_call_goes_on(listening: Listening):
    async with pbx_house(listening) as house, house.pbx("?audio=binary") as pbx:
        await pbx.send("configure", room_id="rustpbx_1", tts_config={"sample_rate": 44_100})
        error = await pbx.until("error")
        await pbx.until("configured")
        await pbx.until("tts_completed")

    assert "44100" in error["message"] and "16000" in error["message"]
    assert {len(piece) for _, piece in pbx.pieces} == {16_000 // 50 * 2}


async def test_an_interrupted_agent_stops_sending(listening: Listening, words: bytes):
    tts, agent = slow_talker()
    stt = FakeTranscriber("stop it")
    async with (
        pbx_house(listening, agents=[agent], tts=tts, stt=stt) as house,
        house.pbx() as pbx,
    ):
        await pbx.configure()
        await pbx.heard(400)
        await pbx.say(words)
        stopped = await house.until("agent_speech_stopped")
        ended = await house.until("turn_ended")
        heard_ms = len(pbx.sound) * 500 // RATE_HZ
        await pbx.until("llm_response", text="Yes.", is_complete=True)

    assert ended.interrupted
    assert heard_ms < 12_000
    assert abs(heard_ms - stopped.played_ms) <= 40


async def test_a_prompt_takes_effect_from_the_next_turn_on(listening: Listening, words: bytes):
    stt = FakeTranscriber("one", "two")
    async with (
        pbx_house(listening, agents=[MUTE], stt=stt) as house,
        house.pbx() as pbx,
    ):
        await pbx.configure(system_prompt="From the PBX.")
        await pbx.configure(system_prompt=None)
        await pbx.say(words)
        await pbx.until("llm_response", is_complete=True)
        await house.rooms.set_prompt("default", "rustpbx_1", "Over HTTP.")
        await pbx.configure(system_prompt="From the PBX, later.")
        await pbx.say(words)
        await pbx.until("llm_response", is_complete=True)

    instructions = [asked[0]["content"].partition("\n")[0] for asked in house.calls.llm.asked]
    assert instructions == ["From the PBX.", "Over HTTP."]


async def test_a_prepared_rooms_prompt_is_there_from_the_first_word_on(listening: Listening):
    agent = agent_with(greeting={"instruction": "Greet."})
    async with pbx_house(listening, agents=[agent]) as house:
        room = house.rooms.create("default", "Front desk", "The room's own.")
        async with house.pbx(f"?room={room.id}") as pbx:
            await pbx.configure("rustpbx_1")
            await pbx.until("llm_response", is_complete=True)
            named = house.rooms.get("default", "rustpbx_1")

    assert named.prepared is room
    assert str(house.calls.llm.asked[0][0]["content"]).startswith("The room's own.")


async def test_a_call_that_began_before_it_was_named_gets_the_prompt_of_its_prepared_room(
    listening: Listening, words: bytes
):
    stt = FakeTranscriber("one")
    async with pbx_house(listening, agents=[MUTE], stt=stt) as house, house.pbx() as pbx:
        room = house.rooms.create("default", "Front desk", "The room's own.")
        await pbx.socket.send(bytes(640))
        await house.until("media_started")
        await pbx.configure(room.id)
        await pbx.say(words)
        await pbx.until("llm_response", is_complete=True)
        calls = room.metadata

    assert str(house.calls.llm.asked[0][0]["content"]).startswith("The room's own.")
    assert calls is not None and len(calls["calls"]) == 1


async def test_another_language_is_listened_for_and_the_built_in_one_is_none(
    listening: Listening, words: bytes
):
    stt = FakeTranscriber("one", "two")
    async with (
        pbx_house(listening, agents=[MUTE], stt=stt) as house,
        house.pbx() as pbx,
    ):
        for language in ("en", "de"):
            await pbx.configure(stt_config={"language": language, "model": "nova"})
            await pbx.say(words)
            heard = await pbx.until("transcription", is_final=True)

    assert [options.language for options in stt.options] == ["en", "de"]
    assert heard["language"] == "de"


async def test_a_failing_engine_is_told_of_and_the_call_goes_on(listening: Listening, words: bytes):
    replies = iter([RuntimeError("broken"), "All is well."])
    llm, stt = FakeChatter(lambda _: next(replies)), FakeTranscriber("one", "two")
    async with (
        pbx_house(listening, agents=[MUTE], llm=llm, stt=stt) as house,
        house.pbx() as pbx,
    ):
        await pbx.configure()
        await pbx.say(words)
        error = await pbx.until("error")
        await pbx.until("llm_response", is_complete=True)
        await pbx.say(words)
        await pbx.until("llm_response", text="All is well.", is_complete=True)

    assert error["code"] >= 500
