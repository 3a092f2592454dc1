"""What a session is like: what is shown, what is merged, what is refused."""

from __future__ import annotations

from typing import Any

from parley.session.turns import Listening
from tests.transports.realtime.house import realtime_house

PCM = {"type": "audio/pcm", "rate": 24000}


async def test_a_session_begins_with_all_that_it_is(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        session = client.told[0]["session"]

    assert client.types()[0] == "session.created"
    assert session["model"] == "gpt-realtime"
    assert session["object"] == "realtime.session"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == PCM
    assert session["audio"]["input"]["transcription"] is None
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"


async def test_an_update_changes_what_it_names_and_nothing_else(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        before = client.told[0]["session"]
        tool = {"type": "function", "name": "look", "description": "Looks.", "parameters": {}}
        after = await client.update(instructions="Be brief.", tools=[tool], max_output_tokens=77)

    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"instructions", "tools", "max_output_tokens"}
    assert after["audio"] == before["audio"]


async def test_null_and_empty_values_clear(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update(
            instructions="Be brief.",
            tools=[{"type": "function", "name": "look"}],
            audio={
                "input": {
                    "transcription": {"model": "whisper-1"},
                    "noise_reduction": {"type": "near_field"},
                }
            },
        )
        cleared = await client.update(
            instructions="",
            tools=[],
            audio={
                "input": {"transcription": None, "noise_reduction": None, "turn_detection": None}
            },
        )

    heard = cleared["audio"]["input"]
    assert (cleared["instructions"], cleared["tools"]) == ("", [])
    assert [heard[name] for name in ("transcription", "noise_reduction", "turn_detection")] == [
        None,
        None,
        None,
    ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"output_modalities": ["audio", "text"]}, "session.output_modalities"),
    ({"output_modalities": ["video"]}, "session.output_modalities.0"),
    ({"instructions": 5}, "session.instructions"),
    ({"tools": 5}, "session.tools"),
    ({"tools": ["look"]}, "session.tools.0"),
    ({"tools": [{"type": "function"}]}, "session.tools.0.name"),
    (
        {"tools": [{"type": "function", "name": "x", "description": "x" * 300_000}]},
        "session.tools",
    ),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools"),
    ({"tool_choice": "sometimes"}, "session.tool_choice"),
    ({"max_output_tokens": 5000}, "session.max_output_tokens"),
    ({"truncation": "all"}, "session.truncation"),
    ({"include": "logprobs"}, "session.include"),
    ({"tracing": 5}, "session.tracing"),
    ({"prompt": "x"}, "session.prompt"),
    ({"audio": 5}, "session.audio"),
    ({"audio": {"input": 5}}, "session.audio.input"),
    ({"audio": {"input": {"format": {"type": "audio/mp3"}}}}, "session.audio.input.format.type"),
    (
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
        "session.audio.input.format.rate",
    ),
    (
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
        "session.audio.input.turn_detection.threshold",
    ),
    (
        {"audio": {"input": {"turn_detection": {"type": "psychic"}}}},
        "session.audio.input.turn_detection.type",
    ),
    (
        {"audio": {"input": {"noise_reduction": {"type": "loud"}}}},
        "session.audio.input.noise_reduction.type",
    ),
    (
        {"audio": {"input": {"transcription": {"language": 5}}}},
        "session.audio.input.transcription.language",
    ),
    (
        {"audio": {"input": {"transcription": {"languages": "de"}}}},
        "session.audio.input.transcription.languages",
    ),
    ({"audio": {"output": {"speed": 9}}}, "session.audio.output.speed"),
    ({"audio": {"output": {"voice": "nobody"}}}, "session.audio.output.voice"),
    ({"type": "transcription"}, "session.type"),
]


async def test_a_bad_value_is_named_and_changes_nothing(listening: Listening):
    named: list[tuple[str, str, str]] = []
    async with realtime_house(listening) as house, house.client() as client:
        before = client.told[0]["session"]
        for number, (session, _) in enumerate(BAD):
            wish = {"type": "realtime", "instructions": "New.", **session}
            await client.send("session.update", event_id=f"e{number}", session=wish)
            error = await client.error()
            named.append((error["type"], error["event_id"], error["param"]))
        after = await client.update()

    assert named == [
        ("invalid_request_error", f"e{number}", param) for number, (_, param) in enumerate(BAD)
    ]
    assert after == before


async def test_openais_voices_mean_one_of_ours(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        shown = await client.update(audio={"output": {"voice": "marin"}})
        await client.write("Hello.")
        await client.ask()
        spoken_by = house.calls.tts.options[-1].voice  # type: ignore[attr-defined]

    assert shown["audio"]["output"]["voice"] == "marin"
    assert spoken_by in ("fake", "other")


async def test_a_voice_may_be_given_as_an_object(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        shown = await client.update(audio={"output": {"voice": {"id": "other"}}})

    assert shown["audio"]["output"]["voice"] == "other"


async def test_the_speed_is_heard(listening: Listening):
    async with realtime_house(listening) as house, house.client() as client:
        await client.update(audio={"output": {"speed": 1.25}})
        await client.write("Hello.")
        await client.ask()

    assert house.calls.tts.options[-1].speed == 1.25
