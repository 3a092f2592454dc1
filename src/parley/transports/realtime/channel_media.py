"""A Realtime client over WebRTC as the session sees it: sound in its track, events in its data
channel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

from pipecat.frames.frames import Frame, InterruptionFrame, TTSStoppedFrame

from parley.core.call import EndReason
from parley.core.errors import ParleyError
from parley.core.events import CallFailed, Event, MediaStarted
from parley.core.log import bind_call, get_logger
from parley.session.control import SessionControl
from parley.transports.realtime.farewell import last_error
from parley.transports.realtime.loudspeaker import Loudspeaker
from parley.transports.realtime.output_buffer import OutputBuffer
from parley.transports.realtime.talk import Talk
from parley.transports.realtime.wire import Fault, ServerEvent, error_event
from parley.transports.webrtc.connection import BrowserConnection
from parley.transports.webrtc.media import WebRtcMedia
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.opus import Libopus

log = get_logger(__name__)

MOST_WAITING_MESSAGES = 100


class Onlooker(Protocol):
    """Somebody who follows the call besides its client, and has a say in it."""

    def send(self, text: str) -> None: ...

    def end(self) -> None:
        """The call is over."""
        ...


class ChannelMedia(WebRtcMedia):
    """Implements ``CallMedia`` and the line of ``Talk``."""

    uses_rtvi = False
    carries_sound = False

    def __init__(
        self,
        options: WebRtcOptions,
        libopus: Libopus | None,
        *,
        call_id: str,
        on_over: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(options, libopus, call_id=call_id, on_over=on_over)
        self._onlookers: list[Onlooker] = []
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(MOST_WAITING_MESSAGES)
        self._reading: asyncio.Task[None] | None = None
        self._receiving = asyncio.Lock()
        self._asker: Onlooker | None = None
        self._has_begun = asyncio.Event()
        self._talk: Talk | None = None
        self._buffer: OutputBuffer | None = None
        self._control: SessionControl | None = None
        self._failure: CallFailed | None = None

    def carry(self, talk: Talk) -> None:
        """Say what the conversation is, before the call begins."""
        self._talk = talk
        self._buffer = OutputBuffer(
            self._playout, talk.record, self.send, send_in_order=talk.send_in_order
        )

    def hand_over(self, control: SessionControl) -> None:
        self._control = control

    @property
    def talk(self) -> Talk:
        assert self._talk is not None, "no conversation is carried yet"
        return self._talk

    @property
    def buffer(self) -> OutputBuffer:
        assert self._buffer is not None, "no conversation is carried yet"
        return self._buffer

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    def output(self) -> Loudspeaker:
        if not isinstance(self._output, Loudspeaker):
            self._output = Loudspeaker(self._playout, self._sounds, self._leaves)
        return self._output

    async def deliver(self, event: Event) -> None:
        if isinstance(event, MediaStarted):
            await self._begin()
        elif isinstance(event, CallFailed):
            self._failure = event
        self.talk.tell(event)

    async def _begin(self) -> None:
        assert self._control is not None
        try:
            await self.talk.begin(self._control)
        except (Fault, ParleyError) as fault:
            # A client secret's session was checked when it was made; voices come and go.
            self.send(error_event(fault))
        self._has_begun.set()
        self._reading = asyncio.create_task(self._read(), name=f"realtime:{self.call_id}")

    async def _close(self, reason: EndReason) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._talk is not None:
            await self._talk.close()
            await self.buffer.close()
        if (error := last_error(reason, self._failure)) is not None:
            self.send(error)
        for onlooker in self._onlookers:
            onlooker.end()
        await super()._close(reason)

    def _say_goodbye(self, connection: BrowserConnection, reason: EndReason) -> None:
        """All has been said in events."""

    # ── from the pipeline ────────────────────────────────────────────────────────────────

    def _sounds(self, pcm: bytes) -> None:
        self.talk.replies.sound(pcm)
        self.buffer.sounding(self.talk.replies.active)

    def _leaves(self, frame: Frame) -> str:
        if isinstance(frame, InterruptionFrame):
            self.buffer.interrupted()
        elif isinstance(frame, TTSStoppedFrame):
            self.buffer.paused()
        return self.talk.replies.frame(frame)

    # ── events from the client and from onlookers ────────────────────────────────────────

    def on_text(self, connection: BrowserConnection, text: str | bytes) -> None:
        if self._messages.full():
            fault = Fault("Too many events wait to be done.", code="too_many_events")
            self.send(error_event(fault))
        else:
            self._messages.put_nowait(text)

    async def _read(self) -> None:
        bind_call(self.call_id)
        try:
            while True:
                await self.receive(await self._messages.get())
        except Exception:
            # The call can't go on without its client's orders.
            log.exception("realtime_broke")
            self.leave("error")

    async def receive(self, text: str | bytes, asker: Onlooker | None = None) -> None:
        """Do what an event asks, one at a time. Whoever made a mistake is told of it alone."""
        await self._has_begun.wait()
        async with self._receiving:
            self._asker = asker
            self.buffer.has_told_cleared = False
            try:
                await self.talk.receive(text)
            finally:
                self._asker = None

    def leave(self, reason: EndReason) -> None:
        """End the call at once."""
        self._presence.leave(reason)

    def join(self, onlooker: Onlooker) -> None:
        self._onlookers.append(onlooker)

    def part(self, onlooker: Onlooker) -> None:
        self._onlookers.remove(onlooker)

    @property
    def onlookers(self) -> int:
        return len(self._onlookers)

    # ── Line ─────────────────────────────────────────────────────────────────────────────

    def send(self, event: ServerEvent) -> None:
        text = written(event)
        if event["type"] == "error" and self._asker is not None:
            self._asker.send(text)
            return
        for onlooker in self._onlookers:
            onlooker.send(text)
        self._post(self._fitting(event, text))
        if event["type"] == "response.done" and self._buffer is not None:
            response = event["response"]
            self._buffer.done(response["id"], response["status"])

    def _fitting(self, event: ServerEvent, text: str) -> str:
        connection = self._connection
        most_bytes = connection.channel.most_message_bytes if connection is not None else 0
        length = len(text.encode())
        if not most_bytes or length <= most_bytes:
            return text
        fault = Fault(
            f"The event {event['type']} has {length} bytes, and you take {most_bytes} "
            "(a=max-message-size).",
            code="event_too_large",
        )
        return written(error_event(fault))

    def hear(self, sound: bytes) -> None:
        """Sound comes in the track: ``Talk`` refuses events that bring any."""

    async def heard(self) -> None:
        """Sound of the track goes into the pipeline as it comes."""

    def forget(self) -> None:
        """Nothing waits outside of the pipeline."""

    def clear_output(self) -> bool:
        return self.buffer.clear()


def written(event: ServerEvent) -> str:
    """An event as it travels."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
