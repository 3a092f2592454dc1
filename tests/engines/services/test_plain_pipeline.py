"""The engines as services in anybody's Pipecat pipeline, in requirement 003's strict order."""

from __future__ import annotations

import asyncio
import socket
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from websockets.asyncio.client import connect

from parley.engines.services import LlamaLLMService, PiperTTSService, VoskSTTService
from tests.engines.servers.llama_cpp import LlamaCppServer
from tests.engines.servers.openai_chat import spoken
from tests.engines.servers.piper_http import PiperHttpServer
from tests.engines.servers.vosk import VoskServer

with warnings.catch_warnings():
    # Pipecat's module names types that websockets has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pipecat.transports.websocket.server import (
        SingleClientWebsocketServerParams,
        SingleClientWebsocketServerTransport,
    )

RATE_HZ = 16_000
PACKET = RATE_HZ // 50
LOUD = np.full(PACKET, 8000, np.int16).tobytes()
SILENT = bytes(2 * PACKET)


class PlainPcm(FrameSerializer):
    """Sound as it is, in binary messages."""

    async def serialize(self, frame: Frame) -> bytes | None:
        return frame.audio if isinstance(frame, OutputAudioRawFrame) else None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        return InputAudioRawFrame(data, RATE_HZ, 1) if isinstance(data, bytes) else None


class LoudnessVad(VADAnalyzer):
    """Takes whatever is loud for a voice."""

    def num_frames_required(self) -> int:
        return PACKET

    def voice_confidence(self, buffer: bytes) -> float:
        return 1.0 if any(buffer) else 0.0


@asynccontextmanager
async def running(pipeline: Pipeline) -> AsyncIterator[None]:
    params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(pipeline, params=params, enable_rtvi=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        await worker.cancel()
        await task


async def talk(url: str) -> int:
    """Say something, and listen until there is an answer: how many of its samples were loud."""
    async with connect(url) as phone:
        talking = asyncio.create_task(say(phone))
        loud = 0
        async for packet in phone:
            assert isinstance(packet, bytes)
            loud += int(np.count_nonzero(np.abs(np.frombuffer(packet, np.int16)) > 5000))
            if loud > RATE_HZ // 10:
                break
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    return loud


async def say(phone: object) -> None:
    """A microphone in real time: silence, a sentence, silence."""
    for at in range(10_000):
        await phone.send(LOUD if 10 <= at < 50 else SILENT)  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)


class Line:
    """Pipecat's own WebSocket transport, and where to call it."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.url = f"ws://127.0.0.1:{port}"
        self.is_ready = asyncio.Event()
        params = SingleClientWebsocketServerParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=PlainPcm()
        )
        self.transport = SingleClientWebsocketServerTransport(params, "127.0.0.1", port)
        self.transport.add_event_handler("on_websocket_ready", self._on_ready)

    async def _on_ready(self, *_: object) -> None:
        self.is_ready.set()


def with_vad() -> LLMUserAggregatorParams:
    """Requirement 003's detector, where Pipecat 1.14 wants it, and a turn that ends soon."""
    vad = LoudnessVad(params=VADParams(confidence=0.2, start_secs=0.05, min_volume=0.0))
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.1)
    return LLMUserAggregatorParams(
        vad_analyzer=vad, user_turn_strategies=UserTurnStrategies(stop=[stop])
    )


def without_vad() -> LLMUserAggregatorParams:
    """What is left of requirement 003's pipeline: its transport's detector is ignored."""
    return LLMUserAggregatorParams()


@pytest.mark.parametrize("listening", [with_vad, without_vad])
async def test_vosk_llama_and_piper_hold_a_conversation_in_a_plain_pipeline(
    listening: Callable[[], LLMUserAggregatorParams],
) -> None:
    context = LLMContext([{"role": "system", "content": "You are a clock."}])
    user, assistant = LLMContextAggregatorPair(context, user_params=listening())
    line = Line()
    async with (
        VoskServer("what time is it", final_after_ms=800) as vosk,
        LlamaCppServer(spoken("It is ", "noon.")) as llama,
        PiperHttpServer() as piper,
    ):
        pipeline = Pipeline(
            [
                line.transport.input(),
                VoskSTTService(ws_url=vosk.url),
                user,
                LlamaLLMService(base_url=llama.url),
                PiperTTSService(ws_url=piper.url),
                line.transport.output(),
                assistant,
            ]
        )

        async with running(pipeline), asyncio.timeout(20):
            await line.is_ready.wait()
            loud = await talk(line.url)

    assert loud
    assert {"role": "user", "content": "what time is it"} in llama.asked[0]["messages"]
    assert piper.texts == ["It is noon."]
