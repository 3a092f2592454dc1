"""The border: what a PBX may send, and what it is told of the rest."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from parley.core.audio import pcm_bytes
from parley.core.errors import BadRequest
from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    AgentText,
    CallFailed,
    CallHeld,
    Event,
    TurnEnded,
    UserTranscript,
)
from parley.transports.rustpbx.messages import (
    Configure,
    Disconnect,
    Ping,
    Sound,
    read_command,
)
from parley.transports.rustpbx.reassembly import WINDOW, FrameOrder
from parley.transports.rustpbx.telling import Frames, Teller
from tests.transports.rustpbx.grammar import read_message

# What the real client sends; its numbers and names are literals in its code.
CONFIGURE = {
    "command": "configure",
    "room_id": "rustpbx_ab",
    "system_prompt": "Be brief.",
    "stt_config": {"sample_rate": 16_000, "language": "en", "model": "nova"},
    "llm_config": {"model": "gpt-4o-mini", "max_tokens": 150, "temperature": 0.7},
    "tts_config": {"model": "aura-asteria-en", "sample_rate": 8000, "encoding": "linear16"},
}


def read(**message: Any) -> Any:
    return read_command(json.dumps(message))


def test_a_whole_configure_is_understood():
    assert read(**CONFIGURE) == Configure("rustpbx_ab", "Be brief.", "en", 8000)


def test_null_leaves_things_as_they_are():
    nothing = dict.fromkeys(("room_id", "system_prompt", "stt_config", "llm_config", "tts_config"))

    assert read(command="configure", **nothing) == Configure()
    assert read(command="configure") == Configure()


@pytest.mark.parametrize("key", ["command", "type", "event"])
def test_a_command_may_stand_under_three_names(key: str):
    assert read(**{key: "ping", "timestamp": 17}) == Ping(17)


@pytest.mark.parametrize("key", ["audio_data", "data", "samples"])
def test_sound_may_stand_under_three_names(key: str):
    sound = read(command="audio", **{key: [0, 0, 255, 127]}, sample_rate=8000, channels=1)

    assert sound == Sound(b"\0\0\xff\x7f", 8000)


def test_sound_may_come_as_integers_in_base64_or_as_samples():
    pcm = b"\x01\x00\xff\xff"

    forms = [list(pcm), base64.b64encode(pcm).decode(), [1, -1]]

    assert [read(command="audio", audio_data=form).pcm for form in forms] == [pcm] * 3


def test_two_channels_become_one():
    stereo = [100, 0, 200, 0]

    assert read(command="audio", audio_data=stereo, channels=2).pcm == bytes([150, 0])


def test_a_frames_number_is_found():
    assert read(command="audio", audio_data=[], frame_id="rustpbx_ab_17").number == 17
    assert read(command="audio", audio_data=[], frame_id="mine").number is None


def test_a_goodbye_is_understood():
    assert read(command="disconnect", reason="Client disconnect") == Disconnect("Client disconnect")


@pytest.mark.parametrize(
    "message",
    [
        {"command": "audio"},
        {"command": "audio", "audio_data": [1.5]},
        {"command": "audio", "audio_data": ["1"]},
        {"command": "audio", "audio_data": [70_000]},
        {"command": "audio", "audio_data": "not base64!"},
        {"command": "audio", "audio_data": {"0": 1}},
        {"command": "audio", "audio_data": [0, 0], "sample_rate": 16_000.5},
        {"command": "audio", "audio_data": [0, 0], "sample_rate": 0},
        {"command": "audio", "audio_data": [0, 0], "channels": 7},
        {"command": "configure", "room_id": 5},
        {"command": "configure", "stt_config": "nova"},
        {"command": "configure", "stt_config": {"language": "de&model=x"}},
        {"command": "configure", "room_id": "r" * 300},
        {"command": "dance"},
        {"command": 5},
        {},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said_so(message: dict[str, Any]):
    with pytest.raises(BadRequest):
        read(**message)


@pytest.mark.parametrize("text", ["", "[]", "17", "{", "[" * 100_000, '{"command": NaN}'])
def test_what_is_no_object_is_said_so(text: str):
    with pytest.raises(BadRequest):
        read_command(text)


def test_what_is_long_to_read_is_not_read():
    prompt = "{[" * 8000

    with pytest.raises(BadRequest, match="20000 lists"):
        read_command(f'{{"command":"ping","x":[{"[]," * 20_000}1]}}')
    assert read(command="configure", system_prompt=prompt).system_prompt == prompt


def test_the_agents_voice_is_a_list_of_integers():
    message = read_message(Frames().encode(b"\0\x01\xfe\xff" * 160, 16_000))

    assert bytes(message["audio_data"]) == b"\0\x01\xfe\xff" * 160
    assert (message["sample_rate"], message["channels"]) == (16_000, 1)


def test_every_event_is_told_as_the_client_parses_it():
    call, teller = {"call_id": "call_1"}, Teller("en")
    events: list[Event] = [
        UserTranscript(**call, text="Hi", final=False),
        UserTranscript(**call, text="  ", final=False),
        AgentText(**call, text="Good "),
        AgentSpeechStarted(**call),
        AgentText(**call, text="morning."),
        AgentSpeechStopped(**call, played_ms=900),
        TurnEnded(**call, stages={"stt_ms": 12.6, "reply_ms": -0.1}, interrupted=False),
        CallFailed(**call, code="engine_unavailable", message="Deaf.", hint="Try later."),
        CallHeld(**call),
    ]

    told = [read_message(text) for event in events for text in teller.of(event)]

    assert [message["type"] for message in told] == [
        "transcription",
        "llm_response",
        "tts_started",
        "llm_response",
        "tts_completed",
        "llm_response",
        "metrics",
        "metrics",
        "error",
    ]
    assert told[4]["text"] == told[5]["text"] == "Good morning."
    assert [(m["key"], m["duration"]) for m in told[6:8]] == [("stt_ms", 13), ("reply_ms", 0)]
    assert (told[8]["message"], told[8]["code"]) == ("Deaf. Try later.", 503)


def ordered(*numbers: int | None) -> list[int | None]:
    order = FrameOrder()
    sounds = [Sound(bytes(pcm_bytes(20, 16_000)), 16_000, number) for number in numbers]
    return [given.number for sound in sounds for given in order.put(sound)]


def test_frames_that_overtook_each_other_are_put_in_order():
    assert ordered(1, 3, 2, 4, 6, 5, 7) == [1, 2, 3, 4, 5, 6, 7]


def test_a_frame_that_never_comes_is_not_waited_for():
    behind = [*range(3, 3 + WINDOW + 1)]

    assert ordered(1, *behind) == [1, *behind]


def test_frames_whose_numbers_mean_nothing_are_heard_all_the_same():
    assert ordered(None, 1, 1, 1, 900, 2) == [None, 1, 1, 1, 900, 2]
