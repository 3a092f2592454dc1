"""Sessions that only write down what they hear, for the SDK and for Pipecat's recogniser."""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService

from parley.core.errors import EngineFailed
from parley.session.turns import Listening
from parley.testing.engines import FakeTranscriber
from tests.transports.realtime.client import RATE_HZ
from tests.transports.realtime.house import realtime_house
from tests.transports.realtime.pipelines import running

QUICK = {"type": "server_vad", "silence_duration_ms": 200}
ASKED: dict[str, Any] = {"extra_query": {"intent": "transcription"}}


async def test_what_is_said_is_written_down_and_never_answered(listening: Listening, words: bytes):
    stt = FakeTranscriber("first", "second")
    async with (
        realtime_house(listening, stt=stt) as house,
        house.client("", **ASKED) as client,
    ):
        created = client.told[0]["session"]
        shown = await client.update(
            type="transcription",
            audio={"input": {"turn_detection": QUICK, "transcription": {"model": "whisper-1"}}},
        )
        written: list[str] = []
        for _ in range(2):
            await client.speak(words)
            event = await client.until("conversation.item.input_audio_transcription.completed")
            written.append(event["transcript"])

    assert (created["object"], created["type"]) == (
        "realtime.transcription_session",
        "transcription",
    )
    assert shown["audio"]["input"]["transcription"] == {"model": "whisper-1"}
    assert "output" not in shown["audio"]
    assert written == ["first", "second"]
    assert [t for t in client.types() if t.startswith("response.")] == []
    assert (house.asked, house.calls.tts.texts) == ([], [])


async def test_nothing_that_goes_wrong_is_spoken_of(listening: Listening, words: bytes):
    stt = FakeTranscriber("", RuntimeError("broke"), "third")
    async with (
        realtime_house(listening, stt=stt) as house,
        house.client("", **ASKED) as client,
    ):
        await client.update(type="transcription", audio={"input": {"turn_detection": QUICK}})
        for end in ("completed", "failed", "completed"):
            await client.speak(words)
            last = await client.until(f"conversation.item.input_audio_transcription.{end}")

    assert last["transcript"] == "third"
    assert house.calls.tts.texts == []


async def test_there_are_no_responses_to_ask_for(listening: Listening):
    async with (
        realtime_house(listening) as house,
        house.client("", **ASKED) as client,
    ):
        await client.send("response.create")
        error = await client.error()
        await client.send("session.update", session={"type": "realtime"})
        other = await client.error()

    assert error["code"] == "unsupported_value"
    assert other["param"] == "session.type"


class Listener(FrameProcessor):
    """Keeps what Pipecat's recogniser says it has heard."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.heard.put_nowait(frame.text)
        await self.push_frame(frame, direction)


async def test_pipecats_recogniser_works_with_it(listening: Listening, words: bytes):
    async with realtime_house(listening, stt=FakeTranscriber("what time is it")) as house:
        service = OpenAIRealtimeSTTService(api_key="any", base_url=house.socket_url)
        listener = Listener()
        async with running([service, listener], in_hz=RATE_HZ) as worker:
            await worker.queue_frame(InputAudioRawFrame(words, RATE_HZ, 1))
            await worker.queue_frame(VADUserStoppedSpeakingFrame())
            text = await asyncio.wait_for(listener.heard.get(), 15)
            await worker.queue_frame(EndFrame())

    assert text == "what time is it"


async def test_the_clients_language_and_prompt_reach_the_recogniser(
    listening: Listening, words: bytes
):
    stt = FakeTranscriber("eins", "zwei")
    hint = {"model": "whisper-1", "language": "de", "prompt": "Zahlen"}
    async with (
        realtime_house(listening, stt=stt) as house,
        house.client("", **ASKED) as client,
    ):
        await client.update(
            type="transcription", audio={"input": {"turn_detection": QUICK, "transcription": hint}}
        )
        await client.speak(words)
        await client.until("conversation.item.input_audio_transcription.completed")

    assert (stt.options[-1].language, stt.options[-1].prompt) == ("de", "Zahlen")


async def test_a_recogniser_that_breaks_is_told_of_instead_of_an_empty_transcript(
    listening: Listening, words: bytes
):
    stt = FakeTranscriber(EngineFailed("The recogniser is away."), "here again")
    async with (
        realtime_house(listening, stt=stt) as house,
        house.client("", **ASKED) as client,
    ):
        await client.update(type="transcription", audio={"input": {"turn_detection": QUICK}})
        await client.speak(words)
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        await client.speak(words)
        heard = await client.until("conversation.item.input_audio_transcription.completed")

    assert failed["error"]["code"] == "engine_failed"
    assert "away" in failed["error"]["message"]
    assert heard["transcript"] == "here again"
