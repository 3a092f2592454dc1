"""What clients that people have send, request by request: LiveKit's OpenAI plug-in and Open WebUI.

Their code is not here; the requests are written down as they leave those programs. LiveKit's
plug-in itself (livekit-plugins-openai 1.8.9) has spoken, heard and chatted with a Parley.
"""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from parley.engines.spec import Delta, ToolRequest, Usage
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from tests.api.openai.served import OneEngine, decoded, serving
from tests.api.openai.written_house import WrittenHouse, house_with
from tests.caller_voice import CALLER_HZ, CallerVoice

LIVEKIT = {"Authorization": "Bearer lk", "User-Agent": "LiveKit Agents"}
OPEN_WEBUI = {
    "Authorization": "Bearer owui",
    "X-OpenWebUI-User-Name": "Ann%20Example",
    "X-OpenWebUI-User-Id": "u-1",
    "X-OpenWebUI-User-Email": "ann@example.org",
    "X-OpenWebUI-User-Role": "user",
}
# With strict schemas, as LiveKit makes them of functions.
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
OSLO = Delta(tools=(ToolRequest("call_1", "weather", {"city": "Oslo"}),), finish="tool_calls")


@asynccontextmanager
async def audio_routes(**engines: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serving(OneEngine(**engines)) as (server, _),
        httpx2.AsyncClient(base_url=f"{server.url}/v1", timeout=20) as http,
    ):
        yield http


@asynccontextmanager
async def written_routes(
    **changes: Any,
) -> AsyncIterator[tuple[WrittenHouse, httpx2.AsyncClient]]:
    async with (
        house_with(**changes) as house,
        httpx2.AsyncClient(base_url=house.base_url, timeout=20) as http,
    ):
        yield house, http


async def a_wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(CALLER_HZ)
        sound.writeframes(await CallerVoice()("hello there"))
    return file.getvalue()


def events_of(body: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


# ── LiveKit ──────────────────────────────────────────────────────────────────────────────────────


async def test_livekit_is_spoken_to_in_mp3_and_may_knock_before() -> None:
    wish = {"input": "Good day.", "voice": "ash", "response_format": "mp3", "speed": 1.0}
    plain = {**wish, "model": "tts-1", "stream_format": "audio"}
    told = {**wish, "model": "gpt-4o-mini-tts", "stream_format": "sse", "instructions": "Kind."}
    async with audio_routes(speaks=FakeSynthesizer(word_ms=300)) as http:
        knock = await http.get("/", headers=LIVEKIT)
        answer = await http.post("/audio/speech", json=plain, headers=LIVEKIT)
        events = await http.post("/audio/speech", json=told, headers=LIVEKIT)

    lines = [json.loads(line[len("data: ") :]) for line in events.text.splitlines() if line]
    sound = b"".join(base64.b64decode(line["audio"]) for line in lines[:-1])
    assert knock.status_code == 404
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-request-id"]
    assert len(decoded(answer.content)) > 0.5 * 16_000
    assert events.headers["content-type"].startswith("text/event-stream")
    assert len(decoded(sound)) > 0.5 * 16_000
    assert lines[-1]["type"] == "speech.audio.done" and lines[-1]["usage"]["output_tokens"]


async def test_livekit_s_utterances_are_transcribed_in_both_forms_that_it_reads() -> None:
    file = {"file": ("file.wav", await a_wav(), "audio/wav")}
    async with audio_routes(hears=FakeTranscriber("hello there", "hello there")) as http:
        plain = await http.post(
            "/audio/transcriptions",
            files=file,
            data={"model": "gpt-4o-mini-transcribe", "language": "en", "response_format": "json"},
            headers=LIVEKIT,
        )
        verbose = await http.post(
            "/audio/transcriptions",
            files=file,
            data={"model": "whisper-1", "language": "en", "response_format": "verbose_json"},
            headers=LIVEKIT,
        )

    assert plain.json()["text"] == verbose.json()["text"] == "hello there"
    assert verbose.json()["language"]


async def test_livekit_s_chat_streams_tools_and_counts() -> None:
    llm = FakeChatter(lambda _: [Delta(text="Wait."), OSLO, Delta(usage=Usage(7, 3))])
    said = [
        {"role": "developer", "content": "You tell the weather."},
        {"role": "user", "content": [{"type": "text", "text": "And in Oslo?"}]},
    ]
    wish = {"model": "fake", "messages": said, "tools": [WEATHER], "stream": True}
    wish |= {"stream_options": {"include_usage": True}, "parallel_tool_calls": True}
    wish |= {"tool_choice": "auto", "prompt_cache_key": "k", "max_completion_tokens": 200}
    async with written_routes(llm=llm) as (_, http):
        answer = await http.post("/chat/completions", json=wish, headers=LIVEKIT)

    chunks = events_of(answer.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    called = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "".join(delta.get("content") or "" for delta in deltas) == "Wait."
    assert called[0]["id"] == "call_1" and called[0]["function"]["name"] == "weather"
    assert json.loads("".join(c["function"]["arguments"] for c in called)) == {"city": "Oslo"}
    assert chunks[-1]["usage"]["total_tokens"] == 10


async def test_livekit_sends_back_what_a_tool_said() -> None:
    request = {"id": "call_1", "type": "function"}
    request |= {"function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    said = [
        {"role": "user", "content": "And in Oslo?"},
        {"role": "assistant", "tool_calls": [request]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
    ]
    wish = {"model": "fake", "messages": said, "tools": [WEATHER], "stream": True}
    async with written_routes() as (house, http):
        answer = await http.post("/chat/completions", json=wish, headers=LIVEKIT)

    assert events_of(answer.text)
    assert house.llm.asked[0][-1]["content"] == "sun"


# ── Open WebUI ───────────────────────────────────────────────────────────────────────────────────


async def test_open_webui_lists_voices_and_reads_answers_aloud() -> None:
    wish = {"input": "Good day.", "voice": "alloy", "model": "tts-1"}
    async with audio_routes(speaks=FakeSynthesizer(word_ms=300)) as http:
        voices = (await http.get("/audio/voices", headers=OPEN_WEBUI)).json()["voices"]
        answer = await http.post("/audio/speech", json=wish, headers=OPEN_WEBUI)

    # It offers them by id and name.
    assert all(voice["id"] and voice["name"] for voice in voices)
    # It keeps the answer in a file that it calls .mp3.
    assert answer.headers["content-type"] == "audio/mpeg"
    assert len(decoded(answer.content)) > 0.5 * 16_000


async def test_open_webui_s_recordings_are_transcribed_without_a_content_type() -> None:
    recording = await a_wav()
    async with audio_routes(hears=FakeTranscriber("hello there")) as http:
        answer = await http.post(
            "/audio/transcriptions",
            files={"file": ("5f0c.wav", recording)},
            data={"model": "whisper-1"},
            headers=OPEN_WEBUI,
        )

    assert answer.status_code == 200
    assert answer.json()["text"] == "hello there"


async def test_open_webui_finds_agents_among_the_models_and_chats_with_one() -> None:
    wish: dict[str, Any] = {"model": "agent:tester", "stream": True}
    wish |= {"messages": [{"role": "user", "content": "Hello?"}]}
    async with written_routes() as (_, http):
        models = (await http.get("/models", headers=OPEN_WEBUI)).json()["data"]
        answer = await http.post("/chat/completions", json=wish, headers=OPEN_WEBUI)

    chunks = events_of(answer.text)
    assert "agent:tester" in [model["id"] for model in models]
    assert answer.headers["content-type"].startswith("text/event-stream")
    said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert said.strip() == "Yes, indeed."


async def test_open_webui_asks_for_a_title_in_one_piece() -> None:
    wish: dict[str, Any] = {"model": "fake", "stream": False, "max_tokens": 1000}
    wish |= {"messages": [{"role": "user", "content": "Give this chat a title."}]}
    async with written_routes() as (_, http):
        answer = await http.post("/chat/completions", json=wish, headers=OPEN_WEBUI)

    assert answer.json()["choices"][0]["message"]["content"].strip() == "Yes, indeed."
