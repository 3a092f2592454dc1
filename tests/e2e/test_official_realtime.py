"""OpenAI's own Realtime clients for Node hold spoken conversations with Parley as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from parley.core.audio import Audio, Resampler
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.builtin import SPEC
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.e2e.official_openai import fetched_client, run_program
from tests.e2e.server import running_server
from tests.e2e.tls import tls_door
from tests.engines.servers.openai_chat import OpenAIChatServer, call, chunk, spoken

# Fetching the clients belongs to it.
pytestmark = pytest.mark.timeout(300)

REALTIME_HZ = 24_000
UNKNOWN_ITEM = "item_retrieve_invalid_item_id"
OSLO = [chunk(tool_calls=[call('{"city": "Oslo"}', id="call_1", name="weather")])]
ASKS_FOR_TOOL = [*OSLO, chunk(finish="tool_calls"), b"data: [DONE]\n\n"]
# Any days and hours: hearing the right ones proves the speech.
OPENING_HOURS = """#JSGF V1.0;
grammar hours;
public <hours> = we are open <day> to <day> from <hour> to <hour>;
<day> = monday | tuesday | wednesday | thursday | friday | saturday | sunday;
<hour> = one | two | three | four | five | six | seven | eight | nine | ten;
"""
LONG = "Tomorrow it will rain in the morning, then the sun comes out, and in the evening it snows."


async def sentences(folder: Path, **texts: str) -> Mapping[str, str]:
    """Each spoken into a file, s16le at 24 kHz; the files by name, for a program's environment."""
    say, files = CallerVoice(), dict[str, str]()
    for name, text in texts.items():
        resampler = Resampler(CALLER_HZ, REALTIME_HZ)
        file = folder / f"{name}.pcm"
        file.write_bytes(resampler.push(await say(text)) + resampler.flush())
        files[name] = str(file)
    return files


async def transcribed(pcm: bytes, grammar: str) -> str:
    """What the built-in recogniser hears in speech at 24 kHz."""
    resampler = Resampler(REALTIME_HZ, CALLER_HZ)
    sound = Audio(resampler.push(pcm) + resampler.flush(), CALLER_HZ)
    engine = SPEC.open(SPEC.options())
    try:
        await engine.warm_up()
        parts = engine.transcribe(_one(sound), TranscribeOptions(grammar=grammar))
        return " ".join([part.text async for part in parts if part.final])
    finally:
        await engine.close()


async def _one(sound: Audio) -> AsyncIterator[Audio]:
    yield sound


async def test_the_client_for_node_is_understood_answered_and_can_interrupt(tmp_path: Path):
    node = await asyncio.to_thread(fetched_client)
    speech = await sentences(
        tmp_path, QUESTION="what are your opening hours", INTERRUPTION="where are you located"
    )
    answer = tmp_path / "answer.pcm"
    async with (
        running_server(tmp_path) as server,
        tls_door(urlsplit(server.url).port or 0, tmp_path) as door,
    ):
        trusts = {"NODE_EXTRA_CA_CERTS": str(door.authority), "ANSWER": str(answer)}
        url = f"https://localhost:{door.port}/v1"
        got = await run_program(node, "realtime.mjs", url, {**speech, **trusts})
        await server.logged("call_ended", "reason=caller")

    heard = await transcribed(answer.read_bytes(), OPENING_HOURS)
    sound = np.frombuffer(answer.read_bytes(), np.int16).astype(float)
    assert got["format"] == {"type": "audio/pcm", "rate": REALTIME_HZ}
    assert got["transcription"] == {"model": "whisper-1"}
    assert got["understood"] == "what are your opening hours"
    assert "from nine to five" in got["answer"]["output"][0]["content"][0]["transcript"]
    assert 2.0 < len(sound) / REALTIME_HZ < 8.0
    assert np.sqrt(np.mean(sound**2)) > 500, "the answer can't be heard"
    assert heard.startswith("we are open monday to friday")
    assert got["statuses"] == ["completed", "completed", "cancelled", "completed"]
    assert "five" not in got["retrieved"]["content"][0]["transcript"]
    assert "Linden Street" in got["said"][3]
    assert (got["error"]["code"], got["error"]["event_id"]) == (UNKNOWN_ITEM, "mine")
    assert [error["code"] for error in got["errors"]] == [UNKNOWN_ITEM]
    assert got["closed"] == 1000


async def test_the_agents_sdk_uses_its_tool_speaks_of_it_and_is_interrupted(tmp_path: Path):
    node = await asyncio.to_thread(fetched_client)
    speech = await sentences(
        tmp_path, QUESTION="what is the weather like today", INTERRUPTION="stop it please stop"
    )
    replies = [
        ASKS_FOR_TOOL,
        spoken("There is ", "sun in Oslo."),
        spoken(LONG),
        spoken("Very ", "well."),
        spoken("Rain."),
    ]
    async with OpenAIChatServer(*replies, models=("gpt-4o-mini",)) as model:
        engines = {
            "PARLEY_STT": "builtin",
            "PARLEY_LLM": "openai",
            "PARLEY_TTS": "builtin",
            "OPENAI_API_KEY": "sk-any",
            "OPENAI_BASE_URL": model.base_url,
        }
        async with running_server(tmp_path, engines) as server:
            url = f"{server.url.replace('http', 'ws', 1)}/v1/realtime?model=gpt-realtime"
            got = await run_program(node, "agents.mjs", server.url, {**speech, "SOCKET_URL": url})
            await server.logged("call_ended", "reason=caller")

    first, second, *_, last = model.asked
    assert got["errors"] == []
    assert got["tools"] == ["weather"] and got["asked"] == ["Oslo"]
    assert got["answered"]["transcript"] == "There is sun in Oslo."
    assert got["answered"]["sounded"] > REALTIME_HZ * 2
    assert got["statuses"] == ["completed", "completed", "cancelled", "completed", "completed"]
    assert got["truncated"] == 1
    assert first["messages"][0]["content"].startswith("You tell the weather.")
    assert [tool["function"]["name"] for tool in first["tools"]] == ["weather"]
    assert second["messages"][-1]["role"] == "tool"
    assert "sun in Oslo" in second["messages"][-1]["content"]
    assert last["messages"][-1] == {"role": "user", "content": "And in Rome?"}
    assert LONG not in str(last["messages"]), "the model believes that all of it was heard"
