"""Both ends of a browser's call for tests: a small house to call, and an aiortc caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from fastapi import FastAPI
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from parley.api.errors import install_error_handlers
from parley.core.audio import Resampler
from parley.core.call import CallInfo, EndReason
from parley.core.errors import CallLimitReached, NotFound
from parley.transports.webrtc.aiortc_inside import close_for_good
from parley.transports.webrtc.media import WebRtcMedia
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.peers import Peers
from parley.transports.webrtc.signalling import signalling_router

QUICK = WebRtcOptions(connect_timeout_s=5, lost_after_s=2, reconnect_grace_s=2)


def tone(hz: float, duration_ms: int, rate_hz: int, volume: float = 0.3) -> bytes:
    times = np.arange(rate_hz * duration_ms // 1000) / rate_hz
    return (np.sin(2 * np.pi * hz * times) * volume * 32767).astype(np.int16).tobytes()


def share_at(pcm: bytes, hz: float, rate_hz: int) -> float:
    """How much of the sound's energy lies within 20 Hz of ``hz``, 0 to 1."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    total = float(spectrum.sum())
    return float(spectrum[np.abs(frequencies - hz) < 20].sum()) / total if total else 0.0


def loudest_part(pcm: bytes, rate_hz: int, piece_ms: int = 20) -> bytes:
    """From the first to the last piece that isn't silent."""
    size = rate_hz * piece_ms // 1000 * 2
    pieces = [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]
    loud = [
        n for n, piece in enumerate(pieces) if np.abs(np.frombuffer(piece, np.int16)).max() > 500
    ]
    return b"".join(pieces[loud[0] : loud[-1] + 1]) if loud else b""


def sounding_ms(pcm_48k: bytearray) -> int:
    """How long the voice sounded; pauses within it, which a busy machine makes, don't count."""
    samples = np.abs(np.frombuffer(bytes(pcm_48k), np.int16))
    pieces = samples[: len(samples) // 480 * 480].reshape(-1, 480).max(axis=1)
    return int((pieces > 500).sum()) * 10


def heard_s(pcm: bytes | bytearray, rate_hz: int) -> float:
    return len(loudest_part(bytes(pcm), rate_hz)) / 2 / rate_hz


# ── the house ────────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False)
class Call:
    """One call as the house saw it."""

    info: CallInfo
    media: WebRtcMedia
    task: asyncio.Task[None] | None = None
    heard: bytearray = field(default_factory=bytearray)
    behind_output: list[bytes] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    times_connected: int = 0
    reason: EndReason | None = None
    failure: Exception | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    worker: PipelineWorker | None = None

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():
            self.changed.clear()
            await self.changed.wait()


Session = Callable[[Call], Awaitable[EndReason]]


class House:
    """Stands where the session host is: admits ``max_calls`` and runs ``session`` for each."""

    def __init__(self, session: Session, max_calls: int = 100) -> None:
        self.session = session
        self.max_calls = max_calls
        self.places: set[CallInfo] = set()
        self.calls: list[Call] = []
        self.new_call = asyncio.Event()

    @dataclass(frozen=True)
    class Place:
        house: Any
        info: CallInfo

        async def reserve(self) -> None:
            return None

        def release(self) -> None:
            self.house.places.discard(self.info)

    def admit(self, info: CallInfo) -> Place:
        if info.agent not in ("", "receptionist"):
            raise NotFound(f"There is no agent {info.agent!r}.")
        if len(self.places) >= self.max_calls:
            raise CallLimitReached("All lines are busy.", retry_after_s=5)
        self.places.add(info)
        return self.Place(self, info)

    def start(self, place: Place, media: WebRtcMedia) -> None:
        call = Call(place.info, media)
        call.task = asyncio.create_task(self._hold(call, place))
        self.calls.append(call)
        self.new_call.set()

    async def _hold(self, call: Call, place: Place) -> None:
        try:
            call.reason = await self.session(call)
        except Exception as error:
            call.failure = error
            call.reason = "error"
        finally:
            await call.media.hang_up(call.reason or "drain")
            place.release()
            call.over.set()

    async def close(self) -> None:
        for call in self.calls:
            assert call.task is not None
            call.task.cancel()
            await asyncio.gather(call.task, return_exceptions=True)


async def bare_session(call: Call) -> EndReason:
    """No pipeline: connected, then gone."""
    await call.media.connected()
    call.times_connected += 1
    call.connected.set()
    return await call.media.gone()


class Ear(FrameProcessor):
    """Keeps what the caller says; stands where STT, LLM and TTS are."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            assert frame.sample_rate == 16_000 and frame.num_channels == 1
            self._call.heard += frame.audio
            self._call.changed.set()
        elif isinstance(frame, InputTransportMessageFrame):
            if direction is FrameDirection.DOWNSTREAM:
                self._call.messages.append(frame.message)
                self._call.changed.set()
        else:
            await self.push_frame(frame, direction)


class Recorder(FrameProcessor):
    """Stands behind the output and keeps the sound that comes that far."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self._call.behind_output.append(frame.audio)
        await self.push_frame(frame, direction)


async def pipeline_session(call: Call, *, uses_rtvi: bool = False) -> EndReason:
    """A real Pipecat pipeline of input, ``Ear`` and output."""
    pipeline = Pipeline([call.media.input(), Ear(call), call.media.output(), Recorder(call)])
    params = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000)
    worker = PipelineWorker(
        pipeline,
        params=params,
        idle_timeout_secs=None,
        enable_rtvi=uses_rtvi,
        enable_turn_tracking=False,
        check_dangling_tasks=False,
    )
    call.worker = worker
    runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        return await bare_session(call)
    finally:
        await worker.cancel()
        await running


async def say(call: Call, pcm: bytes) -> None:
    """What a TTS service pushes: one utterance at 24 kHz."""
    assert call.worker is not None
    await call.worker.queue_frames(
        [TTSStartedFrame(), TTSAudioRawFrame(pcm, 24_000, 1), TTSStoppedFrame()]
    )


async def packets_to(call: Call, count: int) -> None:
    """Return when so many packets have come; there is no event for each."""
    while call.media.counters().get("packets", 0) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


# ── the caller ───────────────────────────────────────────────────────────────────────────────


class ToneTrack(MediaStreamTrack):
    """A microphone that plays what it is given, then silence, in real time."""

    kind = "audio"
    rate_hz = 48_000

    def __init__(self, pcm: bytes = b"") -> None:
        super().__init__()
        self.pcm = pcm
        self.at = 0
        self._start_s: float | None = None
        self._samples = 0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if self._start_s is None:
            self._start_s = loop.time()
        await asyncio.sleep(max(0.0, self._start_s + self._samples / self.rate_hz - loop.time()))
        piece = self.pcm[self.at : self.at + 1920].ljust(1920, b"\0")
        self.at += 1920
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(piece, np.int16)[None, :], format="s16", layout="mono"
        )
        frame.sample_rate = self.rate_hz
        frame.time_base = Fraction(1, self.rate_hz)
        frame.pts = self._samples
        self._samples += 960
        return frame


class Caller:
    """A browser made of aiortc. ``heard`` is 48 kHz mono."""

    def __init__(
        self, http: httpx.AsyncClient, *, says: bytes = b"", channel: bool = False
    ) -> None:
        self.http = http
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.track = ToneTrack(says)
        self.heard = bytearray()
        self.received: list[Any] = []
        self.changed = asyncio.Event()
        self.answer: dict[str, Any] = {}
        self._listening: asyncio.Task[None] | None = None
        self.pc.addTrack(self.track)
        self.channel = self.pc.createDataChannel("chat") if channel else None
        if self.channel is not None:
            self.channel.on("message", self._on_message)
            self.channel.on("open", self.changed.set)
        self.pc.on("track", self._on_track)
        self.pc.on("connectionstatechange", self.changed.set)

    async def call(self, **extra: Any) -> dict[str, Any]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        local = self.pc.localDescription
        body = {"sdp": local.sdp, "type": local.type, **extra}
        response = await self.http.post("/api/offer", json=body)
        assert response.status_code == 200, response.text
        self.answer = response.json()
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer["sdp"], "answer"))
        return self.answer

    def _on_track(self, track: Any) -> None:
        self._listening = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: Any) -> None:
        resampler: Resampler | None = None
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if resampler is None:
                resampler = Resampler(frame.sample_rate, 48_000)
            channels = len(frame.layout.channels)
            samples = np.frombuffer(bytes(frame.planes[0]), np.int16)
            self.heard += resampler.push(samples[: frame.samples * channels : channels].tobytes())
            self.changed.set()

    def _on_message(self, text: str) -> None:
        self.received.append(json.loads(text))
        self.changed.set()

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():
            self.changed.clear()
            await self.changed.wait()

    async def until_open(self) -> None:
        await self.until(lambda: self.channel is not None and self.channel.readyState == "open")

    def send(self, message: Any) -> None:
        assert self.channel is not None
        self.channel.send(message if isinstance(message, str) else json.dumps(message))

    async def vanish(self) -> None:
        """Lose the network: nothing is sent or received any more, nobody is told."""
        for transceiver in self.pc.getTransceivers():
            ice = transceiver.receiver.transport.transport._connection
            for protocol in ice._protocols:
                protocol.transport.close()

    async def close(self) -> None:
        await close_for_good(self.pc)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)


@dataclass
class Town:
    """A house with its web application, and the callers that were made."""

    house: House
    peers: Peers
    app: FastAPI
    http: httpx.AsyncClient
    callers: list[Caller] = field(default_factory=list)

    def caller(self, **settings: Any) -> Caller:
        caller = Caller(self.http, **settings)
        self.callers.append(caller)
        return caller

    async def one_call(self) -> Call:
        await self.house.new_call.wait()
        return self.house.calls[-1]

    async def close(self) -> None:
        for caller in self.callers:
            await caller.close()
        await self.house.close()
        await self.peers.close()
        await self.http.aclose()


def make_town(session: Session, options: WebRtcOptions = QUICK, max_calls: int = 100) -> Town:
    house = House(session, max_calls)
    peers = Peers(options)
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(signalling_router(house, peers))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return Town(house, peers, app, httpx.AsyncClient(transport=transport, base_url="http://parley"))
