"""Every engine that speaks as a stage of a call: its server, its options, what it was given."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.tts import Synthesize

from parley.engines.tts.kokoro_phonemes import MOST_TOKENS
from tests.engines.servers import deepgram as deepgram_servers
from tests.engines.servers import orpheus_talker
from tests.engines.servers.piper_http import PiperHttpServer
from tests.engines.servers.piper_socket import PiperSocketServer
from tests.engines.servers.scripted_speech import Said, ScriptedSpeechServer
from tests.engines.servers.speaches import KOKORO, SpeachesServer, tone
from tests.engines.servers.wyoming import WyomingTtsServer

VOICES = Path(__file__).parents[1] / "engines/voices"
TINY_SNAC = Path(__file__).parents[1] / "engines/tts/orpheus/tiny_snac.onnx"


@dataclass(frozen=True)
class Mouth:
    """An engine that speaks: ``texts`` are those that its server was given."""

    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    texts: Callable[[], list[str]] | None = None


@asynccontextmanager
async def piper_mouth(folder: Path) -> AsyncIterator[Mouth]:
    async with PiperHttpServer() as server:
        yield Mouth(settings={"PIPER_WS_URL": server.url}, texts=lambda: server.texts)


@asynccontextmanager
async def piper_socket_mouth(folder: Path) -> AsyncIterator[Mouth]:
    async with PiperSocketServer() as server:
        yield Mouth(
            settings={"PIPER_WS_URL": server.url},
            texts=lambda: [each["text"] for each in server.requests],
        )


@asynccontextmanager
async def speaches_mouth(folder: Path) -> AsyncIterator[Mouth]:
    async with SpeachesServer(folder, KOKORO) as server:
        yield Mouth(
            settings={"TTS_MODEL": KOKORO, "TTS_VOICE": "af_heart"},
            options={"base_url": server.url},
            texts=lambda: [each["input"] for each in server.spoken],
        )


@asynccontextmanager
async def openai_mouth(folder: Path) -> AsyncIterator[Mouth]:
    route = "/v1/audio/speech"
    sound = Said([tone(600, 24_000)], "audio/pcm")
    async with ScriptedSpeechServer({f"POST {route}": sound}) as server:
        yield Mouth(
            options={"base_url": f"{server.url}/v1"},
            texts=lambda: [e.json().get("input", "") for e in server.requests if e.path == route],
        )


@asynccontextmanager
async def deepgram_mouth(folder: Path) -> AsyncIterator[Mouth]:
    async with deepgram_servers.DeepgramSpeakServer() as server:
        yield Mouth(
            settings={"DEEPGRAM_API_KEY": deepgram_servers.KEY},
            options={"base_url": server.url},
            texts=lambda: [e.json()["text"] for e in server.requests if e.path == "/v1/speak"],
        )


@asynccontextmanager
async def wyoming_mouth(folder: Path) -> AsyncIterator[Mouth]:
    async with WyomingTtsServer() as server:
        yield Mouth(
            settings={"PARLEY_WYOMING_TTS_URI": server.url},
            texts=lambda: [Synthesize.from_event(each).text for each in server.requests],
        )


def orpheus_mouth(
    backend: str, server_type: type[orpheus_talker.TalkerServer], **options: str
) -> Callable[[Path], AbstractAsyncContextManager[Mouth]]:
    """Orpheus with its talker on that kind of server, and the tiny decoder here."""

    @asynccontextmanager
    async def mouth(folder: Path) -> AsyncIterator[Mouth]:
        async with server_type() as server:
            settings = {
                "PARLEY_ORPHEUS_BASE_URL": server.url,
                "PARLEY_ORPHEUS_BACKEND": backend,
                "PARLEY_ORPHEUS_SNAC": str(TINY_SNAC),
            }
            yield Mouth(
                options=options,
                settings=settings,
                texts=lambda: [_prompted(each["prompt"]) for each in server.asked],
            )

    return mouth


@asynccontextmanager
async def kokoro_mouth(folder: Path) -> AsyncIterator[Mouth]:
    pytest.importorskip("espeakng_loader", reason="the extra kokoro is not installed")
    model = folder / "kokoro"
    (model / "onnx").mkdir(parents=True)
    (model / "voices").mkdir()
    shutil.copy(VOICES / "tiny_kokoro.onnx", model / "onnx/model.onnx")
    voice = np.full((MOST_TOKENS, 1, 256), 0.5, np.float32)
    voice.tofile(model / "voices/af_heart.bin")
    yield Mouth(options={"model": str(model), "device": "cpu"}, settings={"TTS_VOICE": "af_heart"})


@asynccontextmanager
async def builtin_mouth(folder: Path) -> AsyncIterator[Mouth]:
    yield Mouth(settings={"TTS_VOICE": "en-us+m3"})


def _prompted(prompt: Any) -> str:
    """A talker's prompt as text; its fake tokenizer counts letters from 1000."""
    if isinstance(prompt, str):
        return prompt
    return "".join(chr(each - 1000) for each in prompt if 1000 <= each < 128_000)
