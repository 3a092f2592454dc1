"""Speaches as its clients see it (version 0.8): models that must be asked for, ears and voices.

Models live in a folder, laid out like the cache of the Hugging Face hub, and outlast the server.
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import wave
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from tests.engines.servers.http import HttpReply, HttpRequest, HttpServer

WHISPER = "Systran/faster-distil-whisper-small.en"
BIG_WHISPER = "Systran/faster-whisper-large-v3"
PARAKEET = "istupakov/parakeet-tdt-0.6b-v3-onnx"
KOKORO = "speaches-ai/Kokoro-82M-v1.0-ONNX"
PIPER = "speaches-ai/piper-en_US-amy-low"
ALIASES = {"whisper-1": BIG_WHISPER, "tts-1": KOKORO}

HEARS, SPEAKS = "automatic-speech-recognition", "text-to-speech"
KOKORO_VOICES = {
    "af_heart": "en-us",
    "am_adam": "en-us",
    "bf_emma": "en-gb",
    "ff_siwis": "fr-fr",
    "jf_alpha": "ja",
}
OPENAI_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse")
MS_PER_LETTER = 40


@dataclass(frozen=True)
class HubModel:
    """``rate_hz`` is the model's own, ``listed_hz`` what Speaches takes it for."""

    task: str
    rate_hz: int = 0
    listed_hz: int = 0
    voices: dict[str, str] = field(default_factory=dict)


HUB = {
    WHISPER: HubModel(HEARS),
    BIG_WHISPER: HubModel(HEARS),
    PARAKEET: HubModel(HEARS),
    KOKORO: HubModel(SPEAKS, 24_000, 24_000, KOKORO_VOICES),
    PIPER: HubModel(SPEAKS, 16_000, 22_050, {"amy": "en"}),
}


class Fault(Enum):
    """What a route does instead of its work."""

    BUSY = auto()
    ERROR = auto()
    GARBAGE = auto()
    HANG = auto()
    CUT = auto()
    CUT_MIDWAY = auto()
    EMPTY = auto()
    NO_KEY = auto()


@dataclass(frozen=True)
class Posted:
    """A transcription or translation that was asked for. A field given twice is a list."""

    route: str
    fields: dict[str, Any]
    file_name: str
    file_type: str
    pcm: bytes
    rate_hz: int


class SpeachesServer(HttpServer):
    """``async with SpeachesServer(folder) as server: server.url``.

    ``text`` is what it hears, whoever speaks. ``faults`` happen to the next requests for work, in
    their order. ``posted`` and ``spoken`` hold the requests that were well-formed.
    """

    def __init__(self, folder: Path, *present: str, key: str = "", online: bool = True) -> None:
        super().__init__()
        self._folder = folder
        self._key = key
        self.is_online = online
        self.text = "good morning"
        self.segments: Sequence[dict[str, Any]] | None = None
        self.faults: deque[Fault] = deque()
        self.download = asyncio.Event()
        self.download.set()
        self.fetched = asyncio.Event()
        self.asked = asyncio.Event()
        self.drip: asyncio.Event | None = None
        self.hears_times = True
        self.posted: list[Posted] = []
        self.spoken: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: set[str] = set()
        self.loaded: set[str] = set()
        for model in present:
            self.keep(model)

    def keep(self, model: str) -> None:
        (self._path(model) / "snapshots").mkdir(parents=True, exist_ok=True)

    def forget(self, *models: str) -> None:
        for model in models:
            shutil.rmtree(self._path(model))

    def has(self, model: str) -> bool:
        return self._path(model).is_dir()

    async def stop(self) -> None:
        await self.__aexit__()

    async def start_again(self) -> None:
        """The same address and the same folder, and nothing in memory."""
        self.loaded.clear()
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self._port)

    async def answer(self, request: HttpRequest, reply: HttpReply) -> None:
        path = unquote(request.path)
        self.paths.append(f"{request.method} {path}")
        self.keys.add(request.headers.get("authorization", ""))
        if path == "/health":
            await reply.json({"message": "OK"})
        elif self._key and request.headers.get("authorization") != f"Bearer {self._key}":
            await reply.json({"detail": "Invalid API key."}, 403)
        elif path.startswith("/v1/audio/") and request.method == "POST":
            await self._work(path.removeprefix("/v1/audio/"), request, reply)
        else:
            await self._manage(request.method, path, reply)

    # ── models ───────────────────────────────────────────────────────────────────────────────

    async def _manage(self, method: str, path: str, reply: HttpReply) -> None:
        model = path.removeprefix("/v1/models").removeprefix("/api/ps").lstrip("/")
        model = ALIASES.get(model, model)
        known: dict[str, Callable[[], Any]] = {
            "GET /v1/models": lambda: reply.json(
                {"data": self._listed(self.has), "object": "list"}
            ),
            "GET /v1/registry": lambda: self._registry(reply),
            "GET /v1/audio/voices": lambda: reply.json({"voices": self._voices()}),
            "GET /api/ps": lambda: reply.json({"models": sorted(self.loaded)}),
        }
        if f"{method} {path}" in known:
            await known[f"{method} {path}"]()
        elif path.startswith("/api/ps/") and method == "POST":
            await self._load(model, reply)
        elif path.startswith("/v1/models/") and method == "POST":
            await self._fetch(model, reply)
        elif path.startswith("/v1/models/") and method == "DELETE":
            await self._remove(model, reply)
        elif path.startswith("/v1/models/") and self.has(model):
            await reply.json(self._entry(model))
        elif path.startswith("/v1/models/"):
            await reply.json({"detail": f"Model '{model}' not found"}, 404)
        else:
            await reply.json({"detail": "Not Found"}, 404)

    def _path(self, model: str) -> Path:
        return self._folder / f"models--{model.replace('/', '--')}"

    def _entry(self, model: str) -> dict[str, Any]:
        hub = HUB[model]
        entry: dict[str, Any] = {
            "id": model,
            "created": 0,
            "object": "model",
            "owned_by": model.split("/")[0],
            "language": ["en"],
            "task": hub.task,
        }
        if hub.voices:
            voices = [{"name": v, "language": lang, "id": v} for v, lang in hub.voices.items()]
            entry |= {"sample_rate": hub.listed_hz, "voices": voices}
        return entry

    def _listed(self, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
        return [self._entry(model) for model in HUB if wanted(model)]

    def _voices(self) -> list[dict[str, Any]]:
        return [voice for entry in self._listed(self.has) for voice in entry.get("voices", [])]

    async def _registry(self, reply: HttpReply) -> None:
        if not self.is_online:
            return await reply.bytes(b"Internal Server Error", 500)
        return await reply.json({"data": self._listed(lambda model: True), "object": "list"})

    async def _fetch(self, model: str, reply: HttpReply) -> None:
        if not self.is_online:
            return await reply.bytes(b"Internal Server Error", 500)
        if model not in HUB:
            return await reply.json({"detail": f"Model '{model}' not found"}, 404)
        if self.has(model):
            return await reply.bytes(f"Model '{model}' already exists".encode(), 201)
        await self.download.wait()
        self.keep(model)
        self.fetched.set()
        return await reply.bytes(f"Model '{model}' downloaded".encode())

    async def _remove(self, model: str, reply: HttpReply) -> None:
        if not self.has(model):
            return await reply.json({"detail": f"Model repo not found: {model}"}, 404)
        shutil.rmtree(self._path(model))
        return await reply.json({"detail": f"Model '{model}' deleted"})

    async def _load(self, model: str, reply: HttpReply) -> None:
        if model in self.loaded:
            return await reply.json({"message": f"Model '{model}' is already loaded."}, 409)
        if not self.has(model):
            return await self._not_installed(model, reply)
        self.loaded.add(model)
        return await reply.json({"message": f"Model '{model}' loaded."}, 201)

    async def _not_installed(self, model: str, reply: HttpReply) -> None:
        advice = "You can download the model using `POST /v1/models`"
        detail = f"Model '{model}' is not installed locally. {advice}"
        await reply.json({"detail": detail}, 404)

    # ── work ─────────────────────────────────────────────────────────────────────────────────

    async def _work(self, route: str, request: HttpRequest, reply: HttpReply) -> None:
        fault = self.faults.popleft() if self.faults else None
        if fault is None or (fault is Fault.CUT_MIDWAY and route == "speech"):
            await self._do(route, request, reply, is_cut=fault is not None)
        elif fault is Fault.BUSY:
            await reply.json({"detail": "Too many requests"}, 429, {"Retry-After": "7"})
        elif fault is Fault.ERROR:
            await reply.bytes(b"Internal Server Error", 500)
        elif fault is Fault.GARBAGE:
            await reply.bytes(b"<html>{", 200, {"Content-Type": "application/json"})
        elif fault is Fault.EMPTY:
            await reply.bytes(b"", 200, {"Content-Type": "audio/pcm"})
        elif fault is Fault.NO_KEY:
            await reply.json({"detail": "API key required."}, 403)
        elif fault is Fault.HANG:
            await asyncio.Event().wait()
        else:
            reply.cut()

    async def _do(
        self, route: str, request: HttpRequest, reply: HttpReply, *, is_cut: bool
    ) -> None:
        if route == "speech":
            await self._speak(request.json(), reply, is_cut=is_cut)
        elif route in ("transcriptions", "translations"):
            await self._hear(route, request, reply)
        else:
            await reply.json({"detail": "Not Found"}, 404)

    async def _installed(self, model: str, task: str, reply: HttpReply) -> str:
        name = ALIASES.get(model, model)
        if not self.has(name):
            await self._not_installed(name, reply)
            return ""
        if HUB[name].task != task:
            await reply.json({"detail": f"Model '{name}' is not supported."}, 404)
            return ""
        self.loaded.add(name)
        return name

    async def _hear(self, route: str, request: HttpRequest, reply: HttpReply) -> None:
        fields, file = _form(request)
        if file is None or not isinstance(fields.get("model"), str):
            return await reply.json({"detail": [{"type": "missing", "loc": ["body"]}]}, 422)
        name, kind, content = file
        try:
            with wave.open(io.BytesIO(content)) as sound:
                rate_hz, pcm = sound.getframerate(), sound.readframes(sound.getnframes())
        except (wave.Error, EOFError):
            return await reply.json({"detail": "Failed to decode audio."}, 415)
        model = await self._installed(fields["model"], HEARS, reply)
        if not model:
            return None
        self.posted.append(Posted(route, fields, name, kind, pcm, rate_hz))
        if "parakeet" in model and fields.get("response_format") == "verbose_json":
            return await reply.bytes(b"Internal Server Error", 500)
        if fields.get("stream") == "true":
            return await self._stream(reply)
        if fields.get("response_format") == "verbose_json":
            return await reply.json(self._verbose(fields, len(pcm) / 2 / rate_hz))
        return await reply.json({"text": self.text})

    def _verbose(self, fields: dict[str, Any], duration_s: float) -> dict[str, Any]:
        words = self.text.split()
        step = duration_s / max(len(words), 1)
        segments = self.segments
        if segments is None:
            segment = {"text": f" {self.text}", "start": 0.0, "end": duration_s}
            segments = [segment] if words else []
        timed = [
            {"word": f" {word}", "start": at * step, "end": (at + 1) * step}
            for at, word in enumerate(words)
        ]
        asked = fields.get("timestamp_granularities[]", [])
        text = "".join(str(each["text"]) for each in segments).strip()
        answer = {"language": "en", "duration": duration_s, "text": text, "segments": segments}
        return answer | {"words": timed if "word" in asked else None}

    async def _stream(self, reply: HttpReply) -> None:
        await reply.start(200, {"Content-Type": "text/event-stream"})
        for word in self.text.split():
            delta = {"type": "transcript.text.delta", "delta": f" {word}"}
            await reply.piece(f"data: {json.dumps(delta)}\n\n".encode())
            if self.drip is not None:
                await self.drip.wait()
        # It joins segments that it has used up.
        done = {"type": "transcript.text.done", "text": ""}
        await reply.piece(f"data: {json.dumps(done)}\n\n".encode())
        await reply.end()

    async def _speak(self, body: dict[str, Any], reply: HttpReply, *, is_cut: bool) -> None:
        if not all(isinstance(body.get(name), str) for name in ("model", "input", "voice")):
            return await reply.json({"detail": [{"type": "missing", "loc": ["body"]}]}, 422)
        model = await self._installed(body["model"], SPEAKS, reply)
        if not model:
            return None
        self.spoken.append(body)
        self.asked.set()
        hub = HUB[model]
        rate_hz = body.get("sample_rate") or hub.rate_hz
        await reply.start(200, {"Content-Type": "audio/pcm"})
        is_kokoro = model == KOKORO
        known = {*KOKORO_VOICES, *OPENAI_VOICES}
        speed = body.get("speed", 1.0)
        if is_kokoro and (body["voice"] not in known or not 0.5 <= speed <= 2.0):
            # The model refuses when the answer has begun.
            return reply.cut()
        pcm = tone(len(body["input"]) * MS_PER_LETTER / speed, rate_hz)
        for at in range(0, len(pcm), 4001):
            await reply.piece(pcm[at : at + 4001])
            if is_cut:
                return reply.cut()
            if self.drip is not None:
                await self.drip.wait()
        return await reply.end()


def tone(duration_ms: float, rate_hz: int) -> bytes:
    """A sound of that length, loud as speech is."""
    at = np.arange(round(duration_ms * rate_hz / 1000))
    return (np.sin(at * 2 * np.pi * 220 / rate_hz) * 8000).astype(np.int16).tobytes()


def _form(request: HttpRequest) -> tuple[dict[str, Any], tuple[str, str, bytes] | None]:
    """The fields of a multipart form, and its file: name, type and content."""
    boundary = request.headers.get("content-type", "").partition("boundary=")[2].encode()
    fields: dict[str, Any] = {}
    file = None
    if not boundary:
        return fields, file
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        content = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        described = head.decode()
        name = described.partition('name="')[2].partition('"')[0]
        if 'filename="' in described:
            file_name = described.partition('filename="')[2].partition('"')[0]
            kind = described.partition("Content-Type: ")[2].partition("\r\n")[0]
            file = (file_name, kind, content)
            continue
        value = content.decode()
        if name.endswith("[]"):
            fields.setdefault(name, []).append(value)
        else:
            fields[name] = value
    return fields, file
