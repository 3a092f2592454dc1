"""OpenAI's client for Node speaks and hears with Parley as it comes, by the engines that ship."""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from parley.core.audio import Audio
from parley.engines.spec import TranscribeOptions
from parley.engines.stt.builtin import SPEC
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.e2e.official_openai import fetched_client, run_program
from tests.e2e.server import running_server
from tests.e2e.test_official_realtime import OPENING_HOURS

# Fetching the client belongs to it.
pytestmark = pytest.mark.timeout(300)

SENTENCE = "We are open Monday to Friday from nine to five."
AUDIBLE = 2000


def a_wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(CALLER_HZ)
        sound.writeframes(pcm)
    return file.getvalue()


def listened_to(file: str) -> bytes:
    """The file's sound, s16le at 16 kHz."""
    raw = {"format": "s16le", "options": {"sample_rate": "24000", "ch_layout": "mono"}}
    resampler = av.AudioResampler(format="s16", layout="mono", rate=CALLER_HZ)
    with av.open(file, **(raw if file.endswith(".pcm") else {})) as container:  # type: ignore[arg-type]
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return b"".join(frame.to_ndarray().tobytes() for frame in frames)


async def understood(sounds: list[bytes]) -> set[str]:
    engine = SPEC.open(SPEC.options())
    try:
        await engine.warm_up()
        return {await _text(engine, sound) for sound in sounds}
    finally:
        await engine.close()


async def _text(engine, sound: bytes) -> str:
    async def one():
        yield Audio(sound, CALLER_HZ)

    parts = engine.transcribe(one(), TranscribeOptions(grammar=OPENING_HOURS))
    return " ".join([part.text async for part in parts if part.final])


async def test_the_client_for_node_speaks_and_hears(tmp_path: Path):
    node = await asyncio.to_thread(fetched_client)
    question = tmp_path / "question.wav"
    question.write_bytes(a_wav(await CallerVoice()("what are your opening hours")))
    environment = {"FOLDER": str(tmp_path), "QUESTION": str(question), "SENTENCE": SENTENCE}
    async with running_server(tmp_path, {}, "--offline") as server:
        got = await run_program(node, "sound.mjs", f"{server.url}/v1", environment)

    sounds = [listened_to(each["file"]) for each in got["spoken"].values()]
    lengths_s = [len(sound) / 2 / CALLER_HZ for sound in sounds]
    assert {name: each["type"] for name, each in got["spoken"].items()} == {
        "mp3": "audio/mpeg",
        "opus": "audio/ogg; codecs=opus",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "wav": "audio/wav",
        "pcm": "audio/pcm",
    }
    assert max(lengths_s) - min(lengths_s) < 0.2 and min(lengths_s) > 2
    assert all(np.abs(np.frombuffer(sound, np.int16)).max() > AUDIBLE for sound in sounds)
    # Five and nine are alike to this recogniser behind some of the encoders.
    texts = await understood(sounds)
    assert {text.rpartition(" ")[0] for text in texts} == {
        "we are open monday to friday from nine to"
    }
    assert got["events"]["first"] == "speech.audio.delta"
    assert got["events"]["last"]["usage"]["output_tokens"] > 0

    # Without a script the recogniser guesses at the rest, and not always alike.
    heard = (got["json"]["text"], got["text"], got["upload"], got["verbose"]["text"])
    assert all(text.startswith("what are") for text in heard)
    assert got["srt"].startswith("1\n00:00:00,") and "what are" in got["srt"]
    assert got["vtt"].startswith("WEBVTT\n\n00:00:00.") and "what are" in got["vtt"]
    assert got["verbose"]["segments"][0]["end"] > 1
    assert got["streamed"] == ["transcript.text.delta", "transcript.text.done"]
    kinds = {name: (got[name]["kind"], got[name]["param"]) for name in got if name.startswith("no")}
    assert kinds == {
        "noWords": ("BadRequestError", "timestamp_granularities"),
        "noTranslation": ("BadRequestError", "model"),
        "noSound": ("APIError", "file"),
        "noVoice": ("BadRequestError", "voice"),
        "noModel": ("NotFoundError", "model"),
    }
    assert "builtin" in got["noWords"]["message"] and "builtin" in got["noTranslation"]["message"]
    assert got["tooFast"]["param"] == "speed"
    assert got["begun"] > 0 and got["cut"]["kind"] in ("AbortError", "DOMException")
    assert got["secret"] == {"prefix": "ek_", "type": "realtime"}
    assert got["retrieved"] == "agent:receptionist"
