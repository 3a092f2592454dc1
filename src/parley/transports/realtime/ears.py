"""A client's sound on its way into the pipeline, at the client's pace but not much faster."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from pipecat.frames.frames import InputAudioRawFrame, StartFrame
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams

from parley.core.audio import pcm_bytes

EARS_RATE_HZ = 16_000
PIECE_MS = 20
LONGEST_BACKLOG_MS = 600_000
# Turn detection waits by the clock: sound that comes in bursts is heard this much faster.
HURRY = 4
PROMPT_MS = 400

_PIECE_BYTES = pcm_bytes(PIECE_MS, EARS_RATE_HZ)
# Where nothing is detected in it, sound goes through in larger pieces: each is work.
_LARGE_PIECE_BYTES = 10 * _PIECE_BYTES


class Ears:
    """Holds s16le at 16 kHz for one reader. ``put`` says how much had to go, in ms."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_patient = True
        """Off while turns are committed: then nothing waits by the clock."""

    @property
    def held_ms(self) -> float:
        return len(self._pcm) / _PIECE_BYTES * PIECE_MS

    def put(self, pcm: bytes) -> float:
        if not pcm:
            return 0.0
        self._pcm += pcm
        self._idle.clear()
        self._more.set()
        surplus = len(self._pcm) - pcm_bytes(LONGEST_BACKLOG_MS, EARS_RATE_HZ)
        if surplus <= 0:
            return 0.0
        del self._pcm[:surplus]
        return surplus / _PIECE_BYTES * PIECE_MS

    def clear(self) -> None:
        self._pcm.clear()

    async def get(self) -> bytes:
        """The next piece; asking for it says that the one before is in the pipeline."""
        while not self._pcm:
            self._idle.set()
            self._more.clear()
            await self._more.wait()
        size = _PIECE_BYTES if self.is_patient else _LARGE_PIECE_BYTES
        piece = bytes(self._pcm[:size])
        del self._pcm[:size]
        return piece

    async def drained(self) -> None:
        """Return when everything is in the pipeline."""
        await self._idle.wait()


class ClientSound(BaseInputTransport):
    """The pipeline's input: pushes what the ears hold."""

    def __init__(self, ears: Ears) -> None:
        super().__init__(TransportParams(audio_in_enabled=True, audio_in_sample_rate=EARS_RATE_HZ))
        self._ears = ears

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def _audio_task_handler(self) -> NoReturn:
        while True:
            pcm = await self._ears.get()
            await self.push_frame(InputAudioRawFrame(pcm, EARS_RATE_HZ, 1))
            hurries = self._ears.is_patient and self._ears.held_ms > PROMPT_MS
            await asyncio.sleep(PIECE_MS / 1000 / HURRY if hurries else 0)
