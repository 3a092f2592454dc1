"""The agent's voice on its way to a client that hears it over WebRTC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipecat.frames.frames import Frame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection

from parley.session.pipeline import ReplyItemFrame
from parley.transports.webrtc.processors import CallerOutput
from parley.transports.webrtc.sender import Playout


class Loudspeaker(CallerOutput):
    """The pipeline's output. ``on_sound`` gets speech at 24 kHz before it goes out, ``on_frame``
    all that leaves, and says which item is being said."""

    def __init__(
        self,
        playout: Playout,
        on_sound: Callable[[bytes], None],
        on_frame: Callable[[Frame], str],
    ) -> None:
        super().__init__(playout, _send_nothing, passes_voice_on=False)
        self._on_sound = on_sound
        self._on_frame = on_frame
        self._item_id = ""

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self._on_sound(frame.audio)
        return await super().write_audio_frame(frame)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if direction is FrameDirection.DOWNSTREAM:
            item_id = self._on_frame(frame)
            if item_id and item_id != self._item_id:
                self._item_id = item_id
                await super().push_frame(ReplyItemFrame(item_id=item_id))
        await super().push_frame(frame, direction)


def _send_nothing(_: Any) -> None:
    """Nobody in a pipeline without RTVI writes messages to the page."""
