"""The agent's voice on its way to a client that plays it itself.

It leaves as the client plays it, a little ahead: so the call knows what was heard when the client's
user interrupts, and its events are those of every other transport.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from pipecat.frames.frames import (
    DataFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMAssistantPushAggregationFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from parley.core.audio import Audio
from parley.session.pipeline import ReplyItemFrame
from parley.transports.realtime.session_form import PCM_RATE_HZ

_CHUNK_MS = 50
AHEAD_S = 0.5
"""What the client holds against a network that stumbles."""
# A longer silence than a busy machine causes within an utterance.
_UTTERANCE_GAP_S = 0.3
_LAST_WORDS_LIMIT_S = 6.0
_ENDS = (TTSStoppedFrame, LLMAssistantPushAggregationFrame)


class PlayClock:
    """What a client has played that plays everything as soon as it comes."""

    def __init__(self) -> None:
        self._started_s = 0.0
        self._ends_s = 0.0
        self._stopped = asyncio.Event()

    @property
    def left_s(self) -> float:
        return max(0.0, self._ends_s - time.monotonic())

    @property
    def played_ms(self) -> int:
        return round((min(time.monotonic(), self._ends_s) - self._started_s) * 1000)

    def add(self, duration_s: float) -> None:
        now_s = time.monotonic()
        if now_s > self._ends_s + _UTTERANCE_GAP_S:
            self._started_s = now_s
        self._ends_s = max(self._ends_s, now_s) + duration_s
        self._stopped.clear()

    def stop(self) -> None:
        self._ends_s = min(self._ends_s, time.monotonic())
        self._stopped.set()

    async def wait_until_left(self, rest_s: float) -> None:
        """Return when no more than that is left to play, or at once when playing stops."""
        if (wait_s := self.left_s - rest_s) <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopped.wait()


class PlayedOutFrame(DataFrame):
    """Stands in the queue behind an utterance and keeps back what follows until it was heard."""


class ClientVoice(BaseOutputTransport):
    """The pipeline's output. ``on_sound`` gets speech at 24 kHz, ``on_frame`` all that leaves, and
    says which item is being said."""

    def __init__(
        self, clock: PlayClock, on_sound: Callable[[bytes], None], on_frame: Callable[[Frame], str]
    ) -> None:
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_sample_rate=PCM_RATE_HZ,
                audio_out_10ms_chunks=_CHUNK_MS // 10,
                audio_out_end_silence_secs=0,
            )
        )
        self._clock = clock
        self._on_sound = on_sound
        self._on_frame = on_frame
        self._item_id = ""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Let the last word be heard: the client holds it."""
        await super().stop(frame)
        await asyncio.sleep(min(self._clock.left_s, _LAST_WORDS_LIMIT_S))

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._clock.add(Audio(frame.audio, frame.sample_rate).duration_ms / 1000)
        self._on_sound(frame.audio)
        await self._clock.wait_until_left(AHEAD_S)
        return False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame) and (speaker := self._media_senders.get(None)):
            # A word that got out behind it would be taken for the next reply's first.
            speaker._audio_queue.reset()  # pyright: ignore[reportPrivateUsage]
        if isinstance(frame, _ENDS) and direction is FrameDirection.DOWNSTREAM:
            await super().process_frame(PlayedOutFrame(), direction)
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, PlayedOutFrame):
            await self._clock.wait_until_left(0)
            return
        if direction is FrameDirection.DOWNSTREAM:
            if isinstance(frame, InterruptionFrame):
                self._clock.stop()
            item_id = self._on_frame(frame)
            if item_id and item_id != self._item_id:
                self._item_id = item_id
                await super().push_frame(ReplyItemFrame(item_id=item_id))
        await super().push_frame(frame, direction)
