"""A connection's data channel, and the outbox of messages that wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aiortc import RTCDataChannel, RTCPeerConnection

from parley.core.log import get_logger
from parley.transports.webrtc.aiortc_inside import has_unacknowledged_messages, most_message_bytes

log = get_logger(__name__)

# Beyond this the far side has stopped reading.
MAX_UNSENT_BYTES = 1_000_000
_OUTBOX_LIMIT = 1000


class DataChannel:
    """What the far side opened beside the sound; until it has, nothing can be sent."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self._peer = peer
        self._channel: RTCDataChannel | None = None

    def open(
        self,
        channel: RTCDataChannel,
        on_message: Callable[[str | bytes], None],
        on_room: Callable[[], None],
    ) -> None:
        """Take the newest one that the far side opened; ``on_room`` hears that it can be used."""
        self._channel = channel
        channel.on("message", on_message)
        channel.on("bufferedamountlow", on_room)
        # A channel that the far side made is open by the time we hear of it.
        on_room()

    def forget(self) -> None:
        self._channel = None

    @property
    def can_send(self) -> bool:
        return self._channel is not None and self._channel.readyState == "open"

    @property
    def most_message_bytes(self) -> int:
        """How long a message the far side takes; 0 is any length."""
        return most_message_bytes(self._peer)

    def send(self, text: str) -> bool:
        """Returns whether the message is dealt with, which includes one that is too long."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return False
        if channel.bufferedAmount > MAX_UNSENT_BYTES:
            log.warning("data_channel_stuck", unsent_bytes=channel.bufferedAmount)
            return False
        try:
            channel.send(text)
        except ValueError as error:
            log.warning("message_too_long", bytes=len(text), error=str(error))
        return True

    async def flushed(self, limit_s: float) -> None:
        """Return when what was sent has been acknowledged, or after ``limit_s``."""
        try:
            async with asyncio.timeout(limit_s):
                while self.can_send and has_unacknowledged_messages(self._peer):  # noqa: ASYNC110
                    # aiortc has no event for it.
                    await asyncio.sleep(0.005)
        except TimeoutError:
            log.debug("messages_not_acknowledged")


class Outbox:
    """Messages in their order, until there is a channel that takes them."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self.dropped = 0

    def put(self, text: str) -> None:
        self._waiting.append(text)
        if len(self._waiting) > _OUTBOX_LIMIT:
            # A page without a data channel; it will never ask for these.
            self._waiting.popleft()
            self.dropped += 1

    def flush(self, channel: DataChannel) -> None:
        while self._waiting and channel.can_send:
            if not channel.send(self._waiting[0]):
                return
            self._waiting.popleft()
