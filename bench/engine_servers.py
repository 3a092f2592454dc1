"""Every remote engine with the server that the tests have for it, as the bench of engines needs it.

``python -m bench.engine_servers`` starts all the servers in a process of their own, writes their
addresses as one JSON object, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines.servers import llama_cpp, ollama, openai_chat, orpheus_talker, speaches
from tests.engines.servers.deepgram import KEY, DeepgramListenServer, DeepgramSpeakServer
from tests.engines.servers.piper_http import PiperHttpServer
from tests.engines.servers.piper_socket import PiperSocketServer
from tests.engines.servers.scripted_speech import Said, ScriptedSpeechServer, as_json
from tests.engines.servers.vosk import VoskServer
from tests.engines.servers.wyoming import WyomingAsrServer, WyomingTtsServer

from bench.bare import Answered
from parley.engines.spec import Kind

TINY_SNAC = Path(__file__).parents[1] / "tests/engines/tts/orpheus/tiny_snac.onnx"
HEARD = "heard every word"
WORD_MS = 100
SPEAKS = "POST /v1/audio/speech"
HEARS = "POST /v1/audio/transcriptions"
FIRST_FRAMES = 3
FIRST_TOKENS = 7 * FIRST_FRAMES

_BODY: Answered = re.compile(rb"\r\n\r\n.{64}", re.DOTALL).search
_SOUND: Answered = re.compile(rb"(\x10\x27){16}").search


@dataclass(frozen=True)
class Engine:
    """An engine on trial. ``address`` is the option with the server's URL; ``answers`` is what
    the barest client sees of the first part of an answer. ``decodes``: it comes as codes, which
    that client must make sound of too."""

    kind: Kind
    name: str
    serve: Callable[[Path], Any]
    answers: Answered
    address: str = "base_url"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    label: str = ""
    decodes: bool = False

    @property
    def id(self) -> str:
        return f"{self.kind} {self.name}{self.label and f' ({self.label})'}"


def _text(text: str) -> Answered:
    return re.compile(text.encode()).search


def _talking() -> orpheus_talker.Playing:
    """500 tokens a second, as a fast GPU has: a talker is never ready with all of them at once."""
    return orpheus_talker.Playing(frames=12, chunk_every_ms=2)


def _tokens(data: bytes) -> bool:
    return data.count(b"custom_token_") >= FIRST_TOKENS


def _openai_sound(folder: Path) -> ScriptedSpeechServer:
    return ScriptedSpeechServer({SPEAKS: Said([speaches.tone(400, 24_000)] * 2, "audio/pcm")})


def _speaches(folder: Path) -> speaches.SpeachesServer:
    server = speaches.SpeachesServer(folder, speaches.WHISPER, speaches.KOKORO)
    server.text = HEARD
    return server


ENGINES = (
    Engine(
        "stt",
        "openai",
        lambda _: ScriptedSpeechServer({HEARS: as_json({"text": HEARD})}),
        _text(HEARD),
    ),
    Engine("stt", "speaches", _speaches, _text(HEARD)),
    Engine(
        "stt",
        "deepgram",
        lambda _: DeepgramListenServer(HEARD, word_ms=WORD_MS),
        _text('"is_final": true'),
        options={"api_key": KEY},
    ),
    Engine("stt", "vosk", lambda _: VoskServer(HEARD, word_ms=WORD_MS), _text('"text"'), "ws_url"),
    Engine("stt", "wyoming", lambda _: WyomingAsrServer(HEARD), _text(HEARD), "uri"),
    Engine(
        "llm",
        "openai",
        lambda _: openai_chat.OpenAIChatServer(),
        _text("Hello"),
        options={"model": "m"},
    ),
    Engine("llm", "ollama", lambda _: ollama.OllamaServer(), _text("Hello")),
    Engine("llm", "llama_cpp", lambda _: llama_cpp.LlamaCppServer(), _text("Hello")),
    Engine(
        "llm",
        "llama_cpp",
        lambda _: llama_cpp.LlamaSocketServer(),
        _text("Hello"),
        label="WebSocket",
    ),
    Engine("tts", "openai", _openai_sound, _BODY),
    Engine("tts", "speaches", _speaches, _BODY),
    Engine("tts", "deepgram", lambda _: DeepgramSpeakServer(), _SOUND, options={"api_key": KEY}),
    Engine("tts", "piper", lambda _: PiperHttpServer(), _SOUND, "ws_url"),
    Engine("tts", "piper", lambda _: PiperSocketServer(), _SOUND, "ws_url", label="WebSocket"),
    Engine("tts", "wyoming", lambda _: WyomingTtsServer(), _SOUND, "uri"),
    Engine(
        "tts",
        "orpheus",
        lambda _: orpheus_talker.VllmServer(_talking()),
        _tokens,
        options={"snac": TINY_SNAC},
        label="vLLM",
        decodes=True,
    ),
    Engine(
        "tts",
        "orpheus",
        lambda _: orpheus_talker.LlamaCppServer(_talking()),
        _tokens,
        options={"snac": TINY_SNAC, "backend": "llama_cpp"},
        label="llama.cpp",
        decodes=True,
    ),
    Engine(
        "tts",
        "orpheus",
        lambda _: orpheus_talker.OllamaServer(_talking()),
        _tokens,
        options={"snac": TINY_SNAC, "backend": "ollama", "model": "orpheus"},
        label="Ollama",
        decodes=True,
    ),
)


async def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            urls: dict[str, str] = {}
            for number, engine in enumerate(ENGINES):
                own = Path(folder) / str(number)
                own.mkdir()
                server = await stack.enter_async_context(engine.serve(own))
                urls[engine.id] = server.url
            print(json.dumps(urls), flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
