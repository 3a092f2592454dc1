"""A call's speaking half for tests: LiveSpeech, an output that plays on command, the context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextAssistantTimestampFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from parley.engines.spec import SpeechOptions
from parley.engines.tts.live import LiveSpeech
from parley.testing.speech import LEVEL_STEP, FakeSynthesizer

RATE_HZ = 24_000
CHUNK_MS = 20


class PlayedOutput(BaseOutputTransport):
    """Plays 20 ms chunks as fast as it is allowed to: all of them, or as many as ``play`` says."""

    def __init__(self) -> None:
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_sample_rate=RATE_HZ,
                audio_out_10ms_chunks=CHUNK_MS // 10,
                audio_out_end_silence_secs=0,
            )
        )
        self.levels: list[int] = []
        self._allowed: int | None = None
        self._changed = asyncio.Condition()
        self._waits = False

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        async with self._changed:
            while self._allowed is not None and len(self.levels) >= self._allowed:
                self._waits = True
                self._changed.notify_all()
                await self._changed.wait()
            self._waits = False
            samples = np.frombuffer(frame.audio, np.int16)
            self.levels.append(int(samples[0]))
            self._changed.notify_all()
        return True

    async def hold_back(self) -> None:
        await self._allow(0)

    async def play(self, duration_ms: int) -> None:
        """Play so much and stop before the next chunk."""
        await self._allow(duration_ms // CHUNK_MS)
        async with self._changed:
            await self._changed.wait_for(lambda: self._waits)

    async def play_all(self) -> None:
        await self._allow(None)

    async def heard(self, duration_ms: int) -> None:
        """Wait until so much has been played."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.levels) * CHUNK_MS >= duration_ms)

    @property
    def words_heard(self) -> list[int]:
        """The numbers of the fake's words in the order heard, each once per time spoken."""
        numbers = [level // LEVEL_STEP for level in self.levels if level]
        return [n for n, before in zip(numbers, [0, *numbers], strict=False) if n != before]

    async def _allow(self, chunks: int | None) -> None:
        async with self._changed:
            self._allowed = chunks
            self._waits = False
            self._changed.notify_all()


class Seen(BaseObserver):
    """Every frame that was pushed, once, and who waits for one of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self._seen: set[int] = set()
        self._arrived = asyncio.Condition()

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.frame.id in self._seen:
            return
        self._seen.add(data.frame.id)
        async with self._arrived:
            self.frames.append(data.frame)
            self._arrived.notify_all()

    def of(self, kind: type[Frame]) -> list[Frame]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def wait_for(self, kind: type[Frame], count: int = 1) -> None:
        looked_at = 0
        while count:
            async with self._arrived:
                while looked_at == len(self.frames):
                    await self._arrived.wait()
            count -= isinstance(self.frames[looked_at], kind)
            looked_at += 1


class SpeakingCall:
    """Send it a reply; look at what was played and what the conversation keeps."""

    def __init__(self, speech: LiveSpeech, *, uses_rtvi: bool = False) -> None:
        self.speech = speech
        self.output = PlayedOutput()
        self.context = LLMContext()
        self.seen = Seen()
        assistant = LLMAssistantAggregator(self.context)
        self.worker = PipelineWorker(
            Pipeline([speech, self.output, assistant]),
            observers=[self.seen],
            cancel_on_idle_timeout=False,
            enable_rtvi=uses_rtvi,
        )
        self.runner = WorkerRunner(handle_sigint=False)

    @property
    def said(self) -> list[str]:
        """The assistant's messages in the context."""
        return [str(m["content"]) for m in self.context.messages if m["role"] == "assistant"]

    @property
    def errors(self) -> list[str]:
        return [frame.error for frame in self.seen.of(ErrorFrame) if isinstance(frame, ErrorFrame)]

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)

    async def reply(self, *tokens: str) -> None:
        await self.send(
            LLMFullResponseStartFrame(),
            *(LLMTextFrame(token) for token in tokens),
            LLMFullResponseEndFrame(),
        )

    async def interrupt(self, messages: int = 1) -> None:
        """Interrupt, and wait until what was heard is kept as the n-th message."""
        await self.send(InterruptionFrame())
        await self.kept(messages)

    async def interrupt_unheard(self) -> None:
        """Interrupt a reply of which no word has been heard."""
        await self.send(InterruptionFrame())
        await self.seen.wait_for(BotStoppedSpeakingFrame)

    async def kept(self, messages: int = 1) -> None:
        """Wait until the conversation has kept so many of the assistant's messages."""
        await self.seen.wait_for(LLMContextAssistantTimestampFrame, messages)


def live(engine: FakeSynthesizer, **changes: Any) -> LiveSpeech:
    """LiveSpeech with its defaults, and no gap between sentences, so that words are countable."""
    given = {"sentence_gap_ms": 0, **changes}
    return LiveSpeech(engine, SpeechOptions(), output_rate_hz=RATE_HZ, **given)


@asynccontextmanager
async def speaking_call(
    speech: LiveSpeech, *, uses_rtvi: bool = False
) -> AsyncIterator[SpeakingCall]:
    call = SpeakingCall(speech, uses_rtvi=uses_rtvi)
    started = asyncio.Event()

    async def on_started(*_: object) -> None:
        started.set()

    call.worker.add_event_handler("on_pipeline_started", on_started)
    await call.runner.add_workers(call.worker)
    running = asyncio.create_task(call.runner.run())
    try:
        await started.wait()
        yield call
    finally:
        await call.output.play_all()
        await call.runner.cancel()
        await running
