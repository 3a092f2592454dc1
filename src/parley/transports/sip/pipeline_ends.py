"""The two ends of a plain Pipecat pipeline whose caller is a stream of RTP packets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputDTMFFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
)

from parley.core.errors import ParleyError
from parley.transports.phone_playout import PhonePlayout
from parley.transports.webrtc.microphone import Microphone
from parley.transports.webrtc.processors import CallerInput, CallerOutput


class Port(Protocol):
    """What the pipeline opens when it starts, and closes when it ends."""

    async def open(self) -> None:
        """Raises ``ParleyError``."""
        ...

    async def close(self) -> None: ...

    async def send_digits(self, digits: str) -> None: ...


class SoundInput(CallerInput):
    """Opens the port with the pipeline, and closes it with it."""

    def __init__(self, microphone: Microphone, port: Port) -> None:
        self._news: asyncio.Queue[dict[str, Any] | Frame] = asyncio.Queue()
        super().__init__(microphone, self._news)
        self._port = port

    def press(self, digit: str) -> None:
        """The caller has pressed a key."""
        self._news.put_nowait(InputDTMFFrame(button=KeypadEntry(digit)))

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        try:
            await self._port.open()
        except ParleyError as error:
            await self.push_error(str(error), error, force_treat_as_permanent=True)

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        await super().cancel(frame)
        await self._port.close()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._port.close()


class SoundOutput(CallerOutput):
    """Plays speech at any rate, and presses keys."""

    def __init__(self, playout: PhonePlayout, port: Port, *, rate_hz: int) -> None:
        nobody: Callable[[Any], None] = _nobody_reads
        super().__init__(playout, nobody, passes_voice_on=True, rate_hz=rate_hz)
        self._port = port

    async def stop(self, frame: EndFrame) -> None:
        """Let the last word be heard, and then no more."""
        await super().stop(frame)
        await self._port.close()

    def _supports_native_dtmf(self) -> bool:
        return True

    async def _write_dtmf_native(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        buttons = frame.buttons or ([frame.button] if frame.button else [])
        try:
            await self._port.send_digits("".join(button.value for button in buttons))
        except ParleyError as error:
            await self.push_error(str(error), error)


def _nobody_reads(_: Any) -> None:
    """Messages for a page; a telephone has no screen."""
