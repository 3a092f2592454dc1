"""Speech that the server holds for its client: when it begins to sound, ends, or is thrown away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from parley.transports.realtime.record import Record
from parley.transports.realtime.response import Response, Send
from parley.transports.realtime.wire import server_event
from parley.transports.webrtc.sender import Playout


@dataclass
class _Voice:
    """A response that has begun to sound; ``item_id`` is what is being said, "" between two."""

    response_id: str
    item_id: str
    is_done: bool = False
    is_cut: bool = False
    heard_ms: int = 0


class OutputBuffer:
    """Sends ``output_audio_buffer.started``, ``stopped`` and ``cleared``: of the first two each
    once for a response that sounds, of the last two one. What was cut off is truncated by itself
    to what has really gone out.

    ``send_in_order`` is for what belongs between a response's own events.
    """

    def __init__(
        self, playout: Playout, record: Record, send: Send, *, send_in_order: Send
    ) -> None:
        self._playout = playout
        self._record = record
        self._send = send
        self._send_in_order = send_in_order
        self._voice: _Voice | None = None
        self._last_id = ""
        self._draining: asyncio.Task[None] | None = None
        self.has_told_cleared = False
        """Since somebody has set it to False."""

    def sounding(self, response: Response | None) -> None:
        """Speech of the response goes out."""
        if response is None or not response.open_item:
            return
        if self._voice is None or self._voice.response_id != response.id:
            self._stopped()
            self._voice = _Voice(response.id, response.open_item)
            self._last_id = response.id
            started = "output_audio_buffer.started"
            self._send_in_order(server_event(started, response_id=response.id))
        self._voice.item_id = response.open_item

    def paused(self) -> None:
        """All of an utterance has gone out."""
        if self._voice is not None:
            self._voice.item_id = ""

    def interrupted(self) -> None:
        """What waits is about to be thrown away."""
        voice = self._voice
        if voice is None or voice.is_cut:
            return
        voice.is_cut = True
        if voice.item_id:
            said = self._record.said(voice.item_id)
            said.length_ms = max(0.0, said.length_ms - self._playout.held_ms)
            voice.heard_ms = round(said.length_ms)
        if voice.is_done:
            self._cleared(voice)

    def done(self, response_id: str, status: str) -> None:
        """``response.done`` was sent."""
        voice = self._voice
        if voice is None or voice.response_id != response_id:
            return
        voice.is_done = True
        if voice.is_cut:
            self._cleared(voice)
        elif status == "cancelled":
            # The interruption that goes with it is on its way.
            return
        elif self._playout.held_ms:
            drain = self._drain(voice)
            self._draining = asyncio.create_task(drain, name=f"drain:{response_id}")
        else:
            self._stopped()

    def clear(self) -> bool:
        """The client wants silence, and wants to be told of it; whether there was any sound."""
        had_sound = bool(self._playout.held_ms)
        self.interrupted()
        self._playout.clear()
        if not self.has_told_cleared:
            self._tell_cleared(self._last_id)
        return had_sound

    async def close(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.gather(self._draining, return_exceptions=True)

    async def _drain(self, voice: _Voice) -> None:
        await self._playout.drained()
        if voice is self._voice:
            self._stopped()

    def _stopped(self) -> None:
        voice, self._voice = self._voice, None
        if voice is not None and not voice.is_cut:
            stopped = "output_audio_buffer.stopped"
            self._send(server_event(stopped, response_id=voice.response_id))

    def _cleared(self, voice: _Voice) -> None:
        self._voice = None
        self._tell_cleared(voice.response_id)
        if voice.item_id:
            self._send(
                server_event(
                    "conversation.item.truncated",
                    item_id=voice.item_id,
                    content_index=0,
                    audio_end_ms=voice.heard_ms,
                )
            )

    def _tell_cleared(self, response_id: str) -> None:
        self.has_told_cleared = True
        self._send(server_event("output_audio_buffer.cleared", response_id=response_id))
