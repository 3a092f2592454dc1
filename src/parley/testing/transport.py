"""A transport without a network: a test speaks into it and listens to what comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from parley.core.audio import pcm_bytes
from parley.core.call import EndReason
from parley.core.events import Event
from parley.session.media import PlainMedia

MICROPHONE_RATE_HZ = 16_000
PACKET_MS = 20
# A longer silence than a busy machine causes within an utterance.
UTTERANCE_GAP_S = 0.3


class FakeTransport(PlainMedia):
    """A caller in the same process, in real time.

    The microphone is always on: silence flows whenever nothing is spoken, as on a real line.
    ``heard`` is everything that reached the caller's ear, s16le at ``output_rate_hz``, silence
    included, so that its length is time.
    """

    def __init__(self, *, output_rate_hz: int = 24_000) -> None:
        self.output_rate_hz = output_rate_hz
        self.heard = bytearray()
        self.events: list[Event] = []
        self.ended_with: EndReason | None = None
        self._happened = asyncio.Condition()
        self._left: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=MICROPHONE_RATE_HZ,
            audio_out_sample_rate=output_rate_hz,
            audio_out_10ms_chunks=PACKET_MS // 10,
            audio_out_end_silence_secs=0,
        )
        self._input = _Microphone(params)
        self._output = _Ear(params, self)

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    def input(self) -> _Microphone:
        return self._input

    def output(self) -> _Ear:
        return self._output

    async def connected(self) -> None:
        return None

    async def gone(self) -> EndReason:
        return await asyncio.shield(self._left)

    @property
    def played_ms(self) -> int:
        return self._output.played_ms

    def clear(self) -> int:
        return self._output.played_ms

    async def hang_up(self, reason: EndReason) -> None:
        self.ended_with = reason

    async def deliver(self, event: Event) -> None:
        async with self._happened:
            self.events.append(event)
            self._happened.notify_all()

    # ── the caller ───────────────────────────────────────────────────────────────────────

    async def speak(self, pcm: bytes) -> None:
        """Say s16le at 16 kHz; returns when the last sound has left the mouth."""
        await self._input.speak(pcm)

    def leave(self, reason: EndReason = "caller") -> None:
        if not self._left.done():
            self._left.set_result(reason)

    async def events_from(self, position: int) -> AsyncIterator[tuple[int, Event]]:
        """Events from ``position`` on, those to come included; ends with the call."""
        while True:
            async with self._happened:
                while len(self.events) <= position:
                    await self._happened.wait()
            yield position, self.events[position]
            position += 1


class _Microphone(BaseInputTransport):
    """Sends 20 ms every 20 ms, speech if there is some, else silence."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self._speech: asyncio.Queue[tuple[bytes, asyncio.Future[None]]] = asyncio.Queue()
        self._sending: asyncio.Task[None] | None = None

    async def speak(self, pcm: bytes) -> None:
        spoken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._speech.put((pcm, spoken))
        await spoken

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._sending = self.create_task(self._send())

    async def stop(self, frame: EndFrame) -> None:
        await self._stop_sending()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        await self._stop_sending()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        await self._stop_sending()
        await super().cleanup()

    async def _stop_sending(self) -> None:
        if self._sending:
            await self.cancel_task(self._sending)
            self._sending = None

    async def _send(self) -> None:
        packet_bytes = pcm_bytes(PACKET_MS, MICROPHONE_RATE_HZ)
        pcm, spoken = b"", None
        next_s = time.monotonic()
        while True:
            if not pcm and not self._speech.empty():
                pcm, spoken = self._speech.get_nowait()
            packet, pcm = pcm[:packet_bytes].ljust(packet_bytes, b"\0"), pcm[packet_bytes:]
            await self.push_audio_frame(InputAudioRawFrame(packet, MICROPHONE_RATE_HZ, 1))
            if spoken and not pcm:
                spoken.set_result(None)
                spoken = None
            next_s += PACKET_MS / 1000
            await asyncio.sleep(next_s - time.monotonic())


class _Ear(BaseOutputTransport):
    """Takes 20 ms every 20 ms and keeps what the caller would have heard, pauses included."""

    def __init__(self, params: TransportParams, transport: FakeTransport) -> None:
        super().__init__(params)
        self._transport = transport
        self._free_s = 0.0
        self._started_s = time.monotonic()
        self.played_ms = 0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        self._started_s = time.monotonic()
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        now_s = time.monotonic()
        late_s = now_s - self._free_s
        if late_s > PACKET_MS / 1000:
            self._pause_until(now_s)
            self._free_s = now_s
        if late_s > UTTERANCE_GAP_S:
            self.played_ms = 0
        self._transport.heard += frame.audio
        length_ms = len(frame.audio) / 2 * 1000 / frame.sample_rate
        self.played_ms += round(length_ms)
        self._free_s += length_ms / 1000
        await asyncio.sleep(self._free_s - time.monotonic())
        return True

    def _pause_until(self, now_s: float) -> None:
        rate_hz = self._transport.output_rate_hz
        due = pcm_bytes((now_s - self._started_s) * 1000, rate_hz)
        self._transport.heard += bytes(max(0, due - len(self._transport.heard)))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame) and (speaker := self._media_senders.get(None)):
            # As every transport of ours: behind an interruption no word may get out.
            speaker._audio_queue.reset()  # pyright: ignore[reportPrivateUsage]
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self._free_s = min(self._free_s, time.monotonic())
