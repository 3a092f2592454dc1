"""``OpenSIPSTransport`` in a plain Pipecat pipeline: RTP in, RTP out, and the four hooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiortc.rtp import RtcpByePacket, RtpPacket
from bench.plain import FixedLLM, FixedSTT
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    OutputDTMFFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from parley.core.g711 import from_ulaw, to_ulaw
from parley.transports.sip.opensips_transport import EVENTS, OpenSIPSParams, OpenSIPSTransport
from tests.caller_voice import CallerVoice
from tests.transports.sip.bare_caller import beside, caller_at, free_port, packet
from tests.transports.sip.rtp.far_end import LOOPBACK, FarEnd

PIPER_HZ = 22_050
TONE_HZ = 440


class Hooks:
    """What a transport's event handlers were told, in order."""

    def __init__(self, transport: OpenSIPSTransport) -> None:
        self.told: list[tuple[str, Sequence[Any]]] = []
        self.changed = asyncio.Event()
        for event in EVENTS:
            transport.add_event_handler(event, self._handler(event))

    def _handler(self, event: str) -> Callable[..., Any]:
        async def note(transport: OpenSIPSTransport, *facts: Any) -> None:
            self.told.append((event, facts))
            self.changed.set()

        return note

    def names(self) -> list[str]:
        return [event for event, _ in self.told]

    async def until(self, event: str, times: int = 1) -> Sequence[Any]:
        async with asyncio.timeout(15):
            while self.names().count(event) < times:
                self.changed.clear()
                await self.changed.wait()
        return [facts for name, facts in self.told if name == event][times - 1]


class Probe(FrameProcessor):
    """Remembers the frames that come by."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Frame] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.seen.append(frame)
        self.changed.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.seen if isinstance(frame, kind)]

    async def until(self, kind: type[Any], times: int = 1) -> list[Any]:
        async with asyncio.timeout(15):
            while len(self.of(kind)) < times:
                self.changed.clear()
                await self.changed.wait()
        return self.of(kind)


class ToneTTS(TTSService):
    """Speaks a second of one tone at Piper's rate."""

    def __init__(self) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="tone", voice="tone", language=None),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        tone = np.sin(np.arange(PIPER_HZ) * 2 * np.pi * TONE_HZ / PIPER_HZ) * 8000
        pcm = tone.astype(np.int16).tobytes()
        for at in range(0, len(pcm), 882):
            yield TTSAudioRawFrame(pcm[at : at + 882], PIPER_HZ, 1, context_id=context_id)


@asynccontextmanager
async def running(
    transport: OpenSIPSTransport, *between: FrameProcessor, waits: bool = True
) -> AsyncIterator[PipelineWorker]:
    worker = PipelineWorker(Pipeline([transport.input(), *between, transport.output()]))
    async with in_runner(worker):
        if waits:
            await transport.is_open.wait()
        yield worker


@asynccontextmanager
async def in_runner(worker: PipelineWorker) -> AsyncIterator[None]:
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run())
        try:
            yield
        finally:
            await worker.cancel()


def transport_at(port: int, **changes: Any) -> OpenSIPSTransport:
    return OpenSIPSTransport(OpenSIPSParams(bind_port=port, **changes))


async def test_a_pipeline_in_the_strict_order_hears_a_telephone_and_answers_it():
    port, question = free_port(), await CallerVoice()("what time is it")
    vad = SileroVADAnalyzer(params=VADParams(confidence=0.2, start_secs=0.05, stop_secs=0.4))
    transport = transport_at(
        port,
        vad_analyzer=vad,
        audio_in_sample_rate=16_000,
        audio_out_sample_rate=8000,
        silence_s=0.5,
    )
    hooks = Hooks(transport)
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.1)
    user, assistant = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(user_turn_strategies=UserTurnStrategies(stop=[stop])),
    )
    pipeline = [transport.input(), FixedSTT(), user, FixedLLM(), ToneTTS()]
    worker = PipelineWorker(Pipeline([*pipeline, transport.output(), assistant]))

    async with in_runner(worker), caller_at(port) as caller:
        await caller.speak(question)
        await caller.hear(900)
        heard = caller.heard()
        caller.is_muted = True
        participant, reason = await hooks.until("on_participant_left")

    assert hooks.names() == ["on_participant_joined", "on_rtp_started", "on_participant_left"]
    assert (participant.id, participant.codec) == (f"rtp:127.0.0.1:{caller.sound.port}", "PCMU")
    assert reason == "caller"
    assert abs(_loudest_hz(heard) - TONE_HZ) < 5


async def test_what_it_emits_is_the_callers_sound_at_8_khz():
    port, probe = free_port(), Probe()
    pcm = (np.sin(np.arange(160) / 3) * 9000).astype(np.int16).tobytes()
    sound = await FarEnd().open()

    async with running(transport_at(port), probe):
        for number in range(3):
            sound.send(packet(number, payload=to_ulaw(pcm)), port)
        frames = await probe.until(InputAudioRawFrame, times=3)

    assert {(each.sample_rate, each.num_channels) for each in frames} == {(8000, 1)}
    assert frames[1].audio == from_ulaw(to_ulaw(pcm))
    sound.close()


async def test_keys_go_both_ways():
    port, probe = free_port(), Probe()
    sound = await FarEnd().open()

    async with running(transport_at(port), probe) as worker:
        sound.send(packet(0), port)
        for number in range(1, 4):
            key = RtpPacket(101, 1, number, 800, 7, bytes([5, 0x8A, 0, 160]))
            sound.send(key.serialize(), port)
        (pressed,) = await probe.until(InputDTMFFrame)
        await worker.queue_frame(OutputDTMFFrame(button=KeypadEntry.NINE))
        await sound.until(lambda: any(p.payload_type == 101 for p in sound.packets))

    told = [p.payload[0] for p in sound.packets if p.payload_type == 101]
    assert pressed.button == KeypadEntry.FIVE
    assert set(told) == {9}
    sound.close()


async def test_one_caller_at_a_time_and_the_next_when_that_has_left():
    port = free_port()
    transport = transport_at(port, silence_s=600)
    hooks, probe = Hooks(transport), Probe()
    one, other = await FarEnd().open(), await FarEnd().open()
    reports = await beside(one)

    async with running(transport, probe):
        one.send(packet(0, payload=to_ulaw(bytes(320))), port)
        (first,) = await hooks.until("on_rtp_started")
        other.send(packet(0, ssrc=8), port)
        one.send(packet(1), port)
        await probe.until(InputAudioRawFrame, times=2)
        left_alone = hooks.names()
        reports.send(bytes(RtcpByePacket(sources=[7])), port + 1)
        await hooks.until("on_participant_left")
        other.send(packet(1, ssrc=8), port)
        (second,) = await hooks.until("on_rtp_started", times=2)

    assert left_alone == ["on_participant_joined", "on_rtp_started"]
    assert (first.port, second.port) == (one.port, other.port)
    assert [facts[1] for name, facts in hooks.told if name == "on_participant_left"] == [
        "caller",
        "agent",
    ]
    for each in (one, other, reports):
        each.close()


async def test_a_port_that_is_taken_is_told_as_an_error():
    port = free_port()
    taken, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, (LOOPBACK, port)
    )
    transport = transport_at(port)
    hooks = Hooks(transport)

    async with running(transport, Probe(), waits=False):
        (error,) = await hooks.until("on_error")

    assert error.code == "bad_settings"
    assert str(port) in error.message
    taken.close()


async def test_the_last_word_is_heard_before_the_pipeline_ends():
    port = free_port()
    transport = transport_at(port)
    hooks = Hooks(transport)
    async with caller_at(port) as caller:
        async with running(transport, Probe(), ToneTTS()) as worker:
            await hooks.until("on_rtp_started")
            tone = (np.sin(np.arange(8000) / 3) * 9000).astype(np.int16).tobytes()
            await worker.queue_frames([TTSAudioRawFrame(tone, 8000, 1), EndFrame()])
            await hooks.until("on_participant_left")

        assert caller.audible_ms > 950


def _loudest_hz(pcm: np.ndarray) -> float:
    sound = pcm[np.flatnonzero(np.abs(pcm) > 500)[0] :][:8000].astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * 8000 / len(sound))
