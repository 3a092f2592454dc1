"""Every engine that hears or thinks as a stage of a call: its server, its options, its work."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parley.engines.stt.moonshine import Moonshine
from tests.engines.models.fake_moonshine import FakeTranscriber
from tests.engines.models.tiny_llama import make_tiny_llama
from tests.engines.models.tiny_whisper import make_tiny_whisper
from tests.engines.servers import deepgram as deepgram_servers
from tests.engines.servers import llama_cpp as llama_cpp_servers
from tests.engines.servers import ollama as ollama_servers
from tests.engines.servers.openai_chat import OpenAIChatServer, spoken
from tests.engines.servers.scripted_speech import ScriptedSpeechServer, as_json
from tests.engines.servers.speaches import WHISPER, SpeachesServer
from tests.engines.servers.vosk import VoskServer
from tests.engines.servers.wyoming import WyomingAsrServer

QUESTION = "what are your opening hours"
WORD_MS = 100


@dataclass(frozen=True)
class Ear:
    """An engine that hears: ``words`` are what it understands, whoever speaks.

    ``sound_ms`` is how much sound its server got; None where there is no server.
    """

    words: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    sound_ms: Callable[[], float] | None = None
    open: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Mind:
    """An engine that thinks: ``says`` is its answer, ``asked`` are its server's requests."""

    says: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    asked: Callable[[], list[Any]] | None = None


# ── hearing ──────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def vosk_ear(folder: Path) -> AsyncIterator[Ear]:
    words = "vosk heard this question"
    async with VoskServer(words, word_ms=WORD_MS) as server:
        yield Ear(
            words,
            settings={"VOSK_WS_URL": server.url},
            sound_ms=lambda: sum(each.pcm_bytes for each in server.conversations) / 32,
        )


@asynccontextmanager
async def speaches_ear(folder: Path) -> AsyncIterator[Ear]:
    async with SpeachesServer(folder, WHISPER) as server:
        server.text = "speaches heard this question"
        yield Ear(
            server.text,
            settings={"SPEACHES_BASE_URL": server.url, "STT_MODEL": WHISPER},
            sound_ms=lambda: sum(_loud_ms(each.pcm, each.rate_hz) for each in server.posted),
        )


@asynccontextmanager
async def openai_ear(folder: Path) -> AsyncIterator[Ear]:
    words = "any other server heard this question"
    route = "/v1/audio/transcriptions"
    async with ScriptedSpeechServer({f"POST {route}": as_json({"text": words})}) as server:
        yield Ear(
            words,
            options={"base_url": f"{server.url}/v1"},
            sound_ms=lambda: sum(_posted_ms(each.body) for each in server.requests),
        )


@asynccontextmanager
async def deepgram_ear(folder: Path) -> AsyncIterator[Ear]:
    words = "Deepgram heard this question."
    async with deepgram_servers.DeepgramListenServer(words, word_ms=WORD_MS) as server:
        yield Ear(
            words,
            options={"base_url": server.url},
            settings={"DEEPGRAM_API_KEY": deepgram_servers.KEY},
            sound_ms=lambda: sum(each.pcm_bytes for each in server.calls) / 32,
        )


@asynccontextmanager
async def wyoming_ear(folder: Path) -> AsyncIterator[Ear]:
    async with WyomingAsrServer("wyoming heard this question") as server:
        yield Ear(
            server.text,
            settings={"PARLEY_WYOMING_STT_URI": server.url},
            sound_ms=lambda: server.pcm_bytes / 32,
        )


@asynccontextmanager
async def whisper_ear(folder: Path) -> AsyncIterator[Ear]:
    pytest.importorskip("faster_whisper", reason="the extra whisper is not installed")
    model = make_tiny_whisper(folder / "whisper", (" whisper", " heard", " it"))
    yield Ear("whisper heard it", settings={"STT_MODEL": str(model)}, options=_small(model))


@asynccontextmanager
async def moonshine_ear(folder: Path) -> AsyncIterator[Ear]:
    pytest.importorskip("moonshine_voice", reason="the extra moonshine is not installed")
    model = folder / "tiny-streaming-en"
    model.mkdir()
    for name in ("encoder.ort", "tokenizer.bin"):
        (model / name).touch()
    words = FakeTranscriber("moonshine heard this question")
    yield Ear(
        "moonshine heard this question",
        options={"model": str(model), "workers": 1},
        open=lambda options: Moonshine(options, lambda *_: words),
    )


@asynccontextmanager
async def builtin_ear(folder: Path) -> AsyncIterator[Ear]:
    yield Ear("open", settings={"PARLEY_STT_WORKERS": "1"})


# ── thinking ─────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def llama_cpp_mind(folder: Path) -> AsyncIterator[Mind]:
    says = "llama.cpp answers."
    async with llama_cpp_servers.LlamaCppServer(spoken("llama.cpp ", "answers.")) as server:
        yield Mind(says, settings={"LLAMA_URL": server.url}, asked=lambda: server.asked)


@asynccontextmanager
async def llama_socket_mind(folder: Path) -> AsyncIterator[Mind]:
    reply = [{"chunk": "The service "}, {"chunk": "answers."}, {"done": True}]
    async with llama_cpp_servers.LlamaSocketServer(reply) as server:
        settings = {"LLAMA_URL": server.url}
        yield Mind("The service answers.", settings=settings, asked=lambda: server.asked)


@asynccontextmanager
async def ollama_mind(folder: Path) -> AsyncIterator[Mind]:
    says = [ollama_servers.said("Ollama "), ollama_servers.said("answers."), ollama_servers.done()]
    async with ollama_servers.OllamaServer(says) as server:
        settings = {"OLLAMA_BASE_URL": server.url, "OLLAMA_MODEL": "llama3.2:3b"}
        yield Mind("Ollama answers.", settings=settings, asked=lambda: server.asked)


@asynccontextmanager
async def openai_mind(folder: Path) -> AsyncIterator[Mind]:
    async with OpenAIChatServer(spoken("Any other server ", "answers.")) as server:
        options = {"base_url": server.base_url, "model": "m"}
        yield Mind("Any other server answers.", options=options, asked=lambda: server.asked)


@asynccontextmanager
async def llama_mind(folder: Path) -> AsyncIterator[Mind]:
    pytest.importorskip("ctranslate2", reason="the extra llama is not installed")
    says = "We talk."
    model = make_tiny_llama(folder / "llama", says=says)
    yield Mind(says, options=_small(model), settings={"LLM_TEMPERATURE": "0"})


@asynccontextmanager
async def scripted_mind(folder: Path) -> AsyncIterator[Mind]:
    yield Mind("open", settings={"PARLEY_SCRIPT": "receptionist"})


def _small(model: Path) -> dict[str, Any]:
    return {"model": str(model), "device": "cpu", "threads": 1, "workers": 1}


def _posted_ms(body: bytes) -> float:
    """How much sound the WAV file in a posted form holds; 0 for a question of another kind."""
    start = body.find(b"RIFF")
    if start < 0:
        return 0.0
    with wave.open(io.BytesIO(body[start:])) as sound:
        return _loud_ms(sound.readframes(sound.getnframes()), sound.getframerate())


def _loud_ms(pcm: bytes, rate_hz: int) -> float:
    assert np.abs(np.frombuffer(pcm[: len(pcm) // 2 * 2], np.int16).astype(int)).max() > 1000
    return len(pcm) / 2 * 1000 / rate_hz
