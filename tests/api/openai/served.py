"""The audio routes behind a real server on loopback, with whatever engines a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager

import av
import numpy as np
import openai
import uvicorn
from av.error import FFmpegError
from fastapi import FastAPI

from parley.api.errors import install_error_handlers
from parley.api.openai.engines import HearingEngine, SpeakingEngine, open_to_all
from parley.api.openai.speech import speech_router
from parley.api.openai.timestamps import timestamps_router
from parley.api.openai.transcriptions import AudioLimits, transcription_router
from parley.api.openai.uploads import UploadLimits
from parley.api.openai.voices import voices_router
from parley.api.request_id import RequestIds
from parley.api.unread_bodies import UnreadBodies
from parley.core.errors import ModelNotFound
from parley.engines.spec import Synthesizer, Transcriber
from parley.engines.vad.silero import SileroVad

MIB = 1024 * 1024
LIMITS = AudioLimits(UploadLimits(25 * MIB, stall_s=10.0), longest_s=3600.0)


class OneEngine:
    """A desk with one engine for each kind, whatever the model is called but ``nobody``."""

    def __init__(
        self,
        *,
        speaks: Synthesizer | None = None,
        hears: Transcriber | None = None,
        name: str = "fake",
        abilities: frozenset[str] = frozenset(),
    ) -> None:
        self.speaks = speaks
        self.hears = hears
        self.name = name
        self.abilities = abilities
        self.models: list[str] = []

    async def speaking(self, model: str, tenant: str) -> SpeakingEngine:
        self._note(model)
        assert self.speaks is not None
        return SpeakingEngine(self.speaks, self.name, self.name, tenant=tenant)

    async def hearing(self, model: str, tenant: str) -> HearingEngine:
        self._note(model)
        assert self.hears is not None
        return HearingEngine(self.hears, self.name, self.name, self.abilities)  # type: ignore[arg-type]

    def _note(self, model: str) -> None:
        self.models.append(model)
        if model == "nobody":
            raise ModelNotFound("There is no model 'nobody'.", param="model")


class Served:
    """A running server's address, and clients for it."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def sdk(self, path: str = "/v1") -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}{path}", api_key="any", max_retries=0)

    def plain_sdk(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="any", max_retries=0)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def audio_house(desk: OneEngine, limits: AudioLimits = LIMITS) -> FastAPI:
    web = FastAPI()
    install_error_handlers(web)
    web.add_middleware(UnreadBodies)
    web.add_middleware(RequestIds)
    vad = SileroVad()
    stall_s = limits.upload.stall_s
    web.include_router(speech_router(desk, open_to_all, stall_s=stall_s))
    web.include_router(voices_router(desk, open_to_all))
    web.include_router(transcription_router(desk, vad, open_to_all, limits))
    web.include_router(timestamps_router(vad, open_to_all, limits))
    return web


@asynccontextmanager
async def served(web: FastAPI) -> AsyncGenerator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(web, log_config=None, lifespan="off", access_log=False)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving


@asynccontextmanager
async def serving(
    desk: OneEngine, limits: AudioLimits = LIMITS
) -> AsyncGenerator[tuple[Served, openai.AsyncOpenAI]]:
    """The audio routes, and the official client for them."""
    async with served(audio_house(desk, limits)) as server, server.sdk() as client:
        yield server, client


async def in_time(fact: Awaitable[object]) -> None:
    """Wait for a fact, and not for ever."""
    await asyncio.wait_for(fact, 10.0)


def decoded(file: bytes, rate_hz: int = 16_000) -> np.ndarray:
    """A file's sound, -1 to 1, mono."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    pieces: list[bytes] = []
    with av.open(io.BytesIO(file)) as container:
        with contextlib.suppress(FFmpegError):
            for frame in container.decode(audio=0):
                frame.pts = None
                pieces += [bytes(o.planes[0])[: o.samples * 2] for o in resampler.resample(frame)]
        pieces += [bytes(o.planes[0])[: o.samples * 2] for o in resampler.resample(None)]
    return np.frombuffer(b"".join(pieces), np.int16).astype(np.float32) / 32768


def encoded(pcm: bytes, container: str, codec: str, rate_hz: int = 16_000) -> bytes:
    """s16le mono at 16 kHz as a file; ``rate_hz`` is the file's."""
    samples = np.frombuffer(pcm, np.int16)
    sink = io.BytesIO()
    layout = "stereo" if codec == "vorbis" else "mono"
    resampler = av.AudioResampler(format="s16", layout=layout, rate=rate_hz)
    with av.open(sink, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate_hz, options={"strict": "experimental"})
        # FFmpeg's own Vorbis encoder knows stereo alone.
        stream.codec_context.layout = layout
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = 16_000
        for out in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(out))
        file.mux(stream.encode(None))
    return sink.getvalue()
