"""The two ends of a call's pipeline: the caller's microphone and the agent's voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, NoReturn, cast

from pipecat.frames.frames import (
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    OutputTransportReadyFrame,
    StartFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BOT_VAD_STOP_FALLBACK_SECS, BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from parley.core.audio import Resampler
from parley.transports.live_resampler import LiveResampler
from parley.transports.webrtc.microphone import Microphone
from parley.transports.webrtc.sender import PACKET_MS, VOICE_RATE_HZ, Playout

# The browser plays what it holds after the last packet; closing at once would cut the last word.
_TAIL_MS = 200
_DRAIN_LIMIT_S = 1.0

Inbox = asyncio.Queue[dict[str, Any] | Frame] | asyncio.Queue[dict[str, Any] | ClientConnectedFrame]


class CallerAudioFrame(InputAudioRawFrame):
    """The caller's sound. Pipecat formats every frame at every hop for a trace that nobody
    reads; this one's text costs nothing."""

    def __str__(self) -> str:
        return self.name


class CallerInput(BaseInputTransport):
    """Pushes the microphone's pieces, the page's messages and finished frames into the
    pipeline."""

    def __init__(self, microphone: Microphone, inbox: Inbox) -> None:
        self._rate_hz = microphone.rate_hz
        params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=self._rate_hz)
        super().__init__(params)
        self._microphone = microphone
        self._inbox = inbox
        self._inbox_task: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._inbox_task is None:
            self._inbox_task = self.create_task(self._read_inbox())

    async def stop(self, frame: EndFrame) -> None:
        self._microphone.switch_off()
        await super().stop(frame)
        await self._stop_reading()

    async def cancel(self, frame: CancelFrame) -> None:
        await super().cancel(frame)
        await self._stop_reading()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._stop_reading()

    async def _stop_reading(self) -> None:
        if self._inbox_task is not None:
            await self.cancel_task(self._inbox_task)
            self._inbox_task = None

    async def _read_inbox(self) -> None:
        while True:
            item = await self._inbox.get()
            if isinstance(item, Frame):
                await self.push_frame(item)
            else:
                await self.broadcast_frame(InputTransportMessageFrame, message=item)

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Sound from within the pipeline (RTVI's ``raw-audio``) takes the microphone's way."""
        pcm = frame.audio
        if frame.sample_rate != self._rate_hz:
            resampler = Resampler(frame.sample_rate, self._rate_hz)
            pcm = resampler.push(pcm) + resampler.flush()
        self._microphone.put(pcm)

    async def _audio_task_handler(self) -> NoReturn:
        # Pipecat's own waits with a time limit, which makes a task of every 20 ms.
        while True:
            pcm = await self._microphone.get()
            if not self._paused:
                await self.push_frame(CallerAudioFrame(pcm, self._rate_hz, 1))


class CallerOutput(BaseOutputTransport):
    """Plays the agent's voice and sends the page its messages."""

    def __init__(
        self,
        playout: Playout,
        send: Callable[[Any], None],
        *,
        passes_voice_on: bool,
        rate_hz: int = VOICE_RATE_HZ,
    ) -> None:
        params = TransportParams(
            audio_out_enabled=True,
            audio_out_sample_rate=rate_hz,
            audio_out_10ms_chunks=PACKET_MS // 10,
            audio_out_end_silence_secs=0,
        )
        super().__init__(params)
        self._playout = playout
        self._send = send
        self._passes_voice_on = passes_voice_on

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def set_transport_ready(self, frame: StartFrame) -> None:
        speaker = Speaker(
            self,
            self._playout,
            sample_rate=self.sample_rate,
            audio_chunk_size=self.audio_chunk_size,
            params=self._params,
        )
        self._media_senders[None] = speaker
        await speaker.start(frame)
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def stop(self, frame: EndFrame) -> None:
        """Let the last word be heard."""
        await super().stop(frame)
        try:
            async with asyncio.timeout(_DRAIN_LIMIT_S):
                await self._playout.drained()
                await self._playout.rested(_TAIL_MS)
        except TimeoutError:
            self._playout.clear()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        speaker = self._media_senders.get(None)
        if isinstance(frame, InterruptionFrame) and isinstance(speaker, Speaker):
            speaker.forget_waiting()
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Returns whether the frame is to travel on behind the output."""
        await self._playout.write(frame.audio)
        return self._passes_voice_on

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        self._send(frame.message)


class Speaker(BaseOutputTransport.MediaSender):
    """Pipecat's audio sender, which also tells the playout where utterances begin and end."""

    def __init__(self, transport: CallerOutput, playout: Playout, **settings: Any) -> None:
        super().__init__(transport, destination=None, **settings)
        self._resampler = LiveResampler()
        self._playout = playout
        self._last_is_protected = False
        self._clears_seen = 0

    def forget_waiting(self) -> None:
        """Nothing more of it is to come. Pipecat passes an interruption on before it sees to that,
        and a word that got out behind it would be taken for the next reply's first."""
        self._audio_queue.reset()

    async def handle_interruptions(self, _: InterruptionFrame) -> None:
        # Speech that must not be interrupted keeps what is on its way, as Pipecat keeps its queue.
        if not (self._last_is_protected and self._playout.held_ms):
            self._playout.clear()
        await super().handle_interruptions(_)

    async def _bot_started_speaking(self) -> None:
        if not self._bot_speaking:
            self._playout.start_utterance()
        await super()._bot_started_speaking()

    async def _bot_stopped_speaking(self) -> None:
        self._playout.end_utterance()
        await super()._bot_stopped_speaking()

    async def _handle_frame(self, frame: Frame) -> None:
        if isinstance(frame, TTSStoppedFrame):
            # So that what counts as played is all of it when the pipeline hears of the end.
            self._playout.end_utterance()
            await self._playout.drained()
        await super()._handle_frame(frame)

    async def _internal_write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        # Pipecat limits a write in time with a task of its own; ours can only wait for its turn,
        # or for a caller who is about to come back.
        self._last_is_protected = not frame.interruptible
        if self._clears_seen != self._playout.counters.clears and frame.interruptible:
            # Taken out of the queue before an interruption that has emptied the queue since.
            return False
        return await self._transport.write_audio_frame(frame)

    def _next_frame(self) -> AsyncGenerator[Frame, None]:
        return self._frames()

    async def _frames(self) -> AsyncGenerator[Frame, None]:
        queue = cast(asyncio.Queue[Frame], self._audio_queue)
        while True:
            if queue.empty() and self._bot_speaking:
                try:
                    async with asyncio.timeout(BOT_VAD_STOP_FALLBACK_SECS):
                        frame = await queue.get()
                except TimeoutError:
                    await self._bot_stopped_speaking()
                    continue
            else:
                frame = await queue.get()
            self._clears_seen = self._playout.counters.clears
            self._apply_volume(frame)
            yield frame
            queue.task_done()
