"""The same call written plainly with Pipecat's defaults, to compare the density bench with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from bench.fixed import CALLER_SAYS, REPLY_TOKENS, VOICE_RATE_HZ, FixedVoice, server_arguments


class FixedSTT(SegmentedSTTService):
    def __init__(self) -> None:
        super().__init__(settings=STTSettings(model="fixed", language=None), ttfs_p99_latency=0.3)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        yield TranscriptionFrame(CALLER_SAYS, self._user_id, time_now_iso8601())


class FixedLLM(LLMService):
    def __init__(self) -> None:
        super().__init__(
            settings=LLMSettings(
                model="fixed",
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=False,
                user_turn_completion_config=None,
                use_provider_thinking_default=False,
            )
        )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        for token in REPLY_TOKENS:
            await self._push_llm_text(token)
        await self.push_frame(LLMFullResponseEndFrame())


class FixedTTS(TTSService):
    def __init__(self, voice: FixedVoice) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="fixed", voice="fixed", language=None),
        )
        self._fixed = voice

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        sound = self._stream_audio_frames_from_iterator(
            _stream(self._fixed.chunks(text)), in_sample_rate=VOICE_RATE_HZ, context_id=context_id
        )
        async for frame in sound:
            yield frame


async def _stream(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def run_bot(connection: SmallWebRTCConnection, voice: FixedVoice) -> None:
    transport = SmallWebRTCTransport(
        connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    context = LLMContext([{"role": "system", "content": "You are a helpful receptionist."}])
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline(
        [
            transport.input(),
            FixedSTT(),
            user,
            FixedLLM(),
            FixedTTS(voice),
            transport.output(),
            assistant,
        ]
    )
    worker = PipelineWorker(
        pipeline, params=PipelineParams(enable_metrics=True, enable_usage_metrics=True)
    )

    @transport.event_handler("on_client_connected")
    async def greet(_transport: Any, _client: Any) -> None:
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def leave(_transport: Any, _client: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def build_app(voice: FixedVoice) -> FastAPI:
    handler = SmallWebRTCRequestHandler()
    bots: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        await handler.close()

    async def start_bot(connection: SmallWebRTCConnection) -> None:
        bot = asyncio.create_task(run_bot(connection, voice))
        bots.add(bot)
        bot.add_done_callback(bots.discard)

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/api/offer")
    async def offer(body: dict[str, Any]) -> dict[str, str] | None:
        request = SmallWebRTCRequest.from_dict(body)
        return await handler.handle_web_request(request, start_bot)

    return app


def main() -> None:
    arguments = server_arguments()
    logger.remove()
    logger.add(sys.stderr, level="INFO")
    app = build_app(FixedVoice(arguments.voice.read_bytes()))
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, loop="uvloop", log_level="warning")


if __name__ == "__main__":
    main()
