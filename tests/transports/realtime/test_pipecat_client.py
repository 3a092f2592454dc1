"""Pipecat's own Realtime service as a client: the strictest there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
    TurnDetection,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from parley.core.audio import pcm_bytes
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber, last_user_text
from tests.transports.realtime.client import RATE_HZ
from tests.transports.realtime.house import RealtimeHouse, realtime_house
from tests.transports.realtime.pipelines import running


class Keeper(FrameProcessor):
    """Keeps what passes in either direction."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Frame] = []
        self.replied = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.kept.append(frame)
        if isinstance(frame, LLMFullResponseEndFrame):
            self.replied.set()
        await self.push_frame(frame, direction)

    def texts(self, kind: type[Frame]) -> list[str]:
        return [getattr(frame, "text", "") for frame in self.kept if isinstance(frame, kind)]


def service_for(house: RealtimeHouse) -> OpenAIRealtimeLLMService:
    properties = SessionProperties(
        instructions="Be brief.",
        audio=AudioConfiguration(
            input=AudioInput(
                transcription=InputAudioTranscription(),
                turn_detection=TurnDetection(silence_duration_ms=200),
            )
        ),
    )
    return OpenAIRealtimeLLMService(
        api_key="any",
        base_url=house.socket_url,
        settings=OpenAIRealtimeLLMService.Settings(session_properties=properties),
    )


@asynccontextmanager
async def client_of(house: RealtimeHouse) -> AsyncIterator[tuple[Keeper, Keeper]]:
    """Pipecat's pipeline, what goes up in front of the service and what comes down behind it."""
    before, behind = Keeper(), Keeper()
    context = LLMContext()
    pair = LLMContextAggregatorPair(context)
    stages = [pair.user(), before, service_for(house), behind, pair.assistant()]
    async with running(stages, in_hz=RATE_HZ) as worker:
        behind.worker = worker  # type: ignore[attr-defined]
        yield before, behind


async def test_a_spoken_turn_with_pipecats_service_works(listening: Listening, words: bytes):
    stt = FakeTranscriber("what time is it")
    llm = FakeChatter(lambda messages: f"You said {last_user_text(messages)}.")
    async with (
        realtime_house(listening, stt=stt, llm=llm) as house,
        client_of(house) as (before, behind),
    ):
        worker = behind.worker  # type: ignore[attr-defined]
        await worker.queue_frame(LLMContextFrame(LLMContext()))
        await asyncio.wait_for(behind.replied.wait(), 15)
        behind.replied.clear()
        sound = words + bytes(pcm_bytes(2000, RATE_HZ))
        await worker.queue_frame(InputAudioRawFrame(sound, RATE_HZ, 1))
        while "You said what time is it." not in "".join(behind.texts(TTSTextFrame)):
            behind.replied.clear()
            await asyncio.wait_for(behind.replied.wait(), 15)

    errors = [frame for frame in [*before.kept, *behind.kept] if isinstance(frame, ErrorFrame)]
    heard = [f.text for f in [*before.kept, *behind.kept] if isinstance(f, TranscriptionFrame)]
    assert errors == []
    assert "what time is it" in heard
    assert any(isinstance(frame, TTSAudioRawFrame) for frame in behind.kept)
