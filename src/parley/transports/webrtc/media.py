"""A browser's call as the session sees it: sound and messages, whatever connection carries them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pipecat.frames.frames import ClientConnectedFrame

from parley.core.call import EndReason
from parley.core.events import AudioSkipped, Event
from parley.core.log import bind_call, get_logger
from parley.session.media import PlainMedia
from parley.transports.webrtc.channel import Outbox
from parley.transports.webrtc.connection import BrowserConnection, ConnectionPlan
from parley.transports.webrtc.messages import GOODBYES, peer_left, read_message, server_message
from parley.transports.webrtc.microphone import Microphone
from parley.transports.webrtc.options import WebRtcOptions
from parley.transports.webrtc.opus import Libopus
from parley.transports.webrtc.presence import Presence
from parley.transports.webrtc.processors import CallerInput, CallerOutput
from parley.transports.webrtc.sender import VOICE_RATE_HZ, Playout

log = get_logger(__name__)

_TICK_S = 1.0
_INBOX_LIMIT = 1000
_LAST_MESSAGES_LIMIT_S = 0.3


class WebRtcMedia(PlainMedia):
    """Implements ``CallMedia``. It outlives its connections: a browser that has lost the network
    comes with a new one, and the same session goes on.

    Make a connection with ``new_connection``, let it answer an offer, then ``adopt`` it.
    ``on_over`` is called once, when everything is free.
    """

    output_rate_hz = VOICE_RATE_HZ
    uses_rtvi = True

    def __init__(
        self,
        options: WebRtcOptions,
        libopus: Libopus | None,
        *,
        call_id: str = "",
        on_over: Callable[[], None] = lambda: None,
    ) -> None:
        self.call_id = call_id
        self._options = options
        self.on_over = on_over
        self._announce: Callable[[Event], None] = self._log_event
        self._presence = Presence(options)
        self._microphone = Microphone(options.microphone_limit_ms)
        self._playout = Playout(options.voice_ahead_ms)
        self._plan = ConnectionPlan(
            options.ice_servers, libopus if options.opus_path else None, self._microphone.put, self
        )
        self._connection: BrowserConnection | None = None
        self._successor: BrowserConnection | None = None
        self._successor_by_s = 0.0
        self._retired: list[BrowserConnection] = []
        self._outbox = Outbox()
        self._inbox: asyncio.Queue[dict[str, Any] | ClientConnectedFrame] = asyncio.Queue()
        self._input: CallerInput | None = None
        self._output: CallerOutput | None = None
        self._told_ms: dict[str, float] = {}
        self._past: dict[str, float] = {}
        self._messages_refused = 0
        self._wake = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._minder = asyncio.create_task(self._mind(), name=f"webrtc:{call_id}")

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    def input(self) -> CallerInput:
        if self._input is None:
            self._input = CallerInput(self._microphone, self._inbox)
        return self._input

    def output(self) -> CallerOutput:
        if self._output is None:
            self._output = CallerOutput(
                self._playout, self.send, passes_voice_on=self._options.passes_voice_on
            )
        return self._output

    async def connected(self) -> None:
        await self._presence.connected()

    async def gone(self) -> EndReason:
        return await self._presence.gone()

    @property
    def played_ms(self) -> int:
        return self._playout.played_ms

    def clear(self) -> int:
        return self._playout.clear()

    async def deliver(self, event: Event) -> None:
        self.send(server_message(event))

    async def hang_up(self, reason: EndReason) -> None:
        if self._closing is None:
            self._presence.leave(reason)
            self._closing = asyncio.create_task(self._close(reason), name=f"hang_up:{self.call_id}")
        await asyncio.shield(self._closing)

    async def _close(self, reason: EndReason) -> None:
        self._minder.cancel()
        await asyncio.gather(self._minder, return_exceptions=True)
        connection = self._connection
        if connection is not None and connection.channel.can_send:
            self._say_goodbye(connection, reason)
            await connection.channel.flushed(_LAST_MESSAGES_LIMIT_S)
        self._playout.clear()
        for connection in self._connections():
            await connection.close()
        self._tell_skipped()
        log.info("webrtc_closed", reason=reason, **self.counters())
        self.on_over()

    def _say_goodbye(self, connection: BrowserConnection, reason: EndReason) -> None:
        connection.send_app_message(peer_left())

    # ── for the signalling ───────────────────────────────────────────────────────────────

    @property
    def is_over(self) -> bool:
        return self._presence.is_over

    @property
    def connection(self) -> BrowserConnection | None:
        """The newest one: where trickled candidates and further offers belong."""
        return self._successor or self._connection

    def new_connection(self) -> BrowserConnection:
        return BrowserConnection(self._plan)

    def adopt(self, connection: BrowserConnection) -> None:
        """Take an answered connection: the first at once, a further one when it is connected."""
        if self._connection is None:
            self._connection = connection
            assert connection.track is not None
            connection.track.playout = self._playout
        else:
            if self._successor is not None:
                self._retired.append(self._successor)
            self._successor = connection
            now_s = asyncio.get_running_loop().time()
            self._successor_by_s = now_s + self._options.connect_timeout_s
        self.on_state(connection, connection.pc.connectionState)
        self._wake.set()

    def listen(self, announce: Callable[[Event], None]) -> None:
        """Hear of what only the transport knows: ``AudioSkipped``."""
        self._announce = announce

    # ── messages ─────────────────────────────────────────────────────────────────────────

    def send(self, message: Any, /) -> None:
        """Send to the page, or keep until there is an open data channel, in order."""
        self._post(json.dumps(message, default=str))

    def _post(self, text: str) -> None:
        self._outbox.put(text)
        self._flush_outbox()

    def _flush_outbox(self) -> None:
        if self._connection is not None:
            self._outbox.flush(self._connection.channel)

    def on_text(self, connection: BrowserConnection, text: str | bytes) -> None:
        # Else these are the last words of a connection that has been replaced.
        if connection in (self._connection, self._successor):
            message = read_message(text)
            if message is not None:
                self._take_message(message)

    def _take_message(self, message: dict[str, Any]) -> None:
        if message.get("type") in GOODBYES:
            log.info("caller_said_goodbye", call_id=self.call_id)
            self._presence.leave("caller")
        elif message.get("type") == "signalling":
            log.debug("signalling_message", message=message.get("message"))
        elif self._inbox.qsize() < _INBOX_LIMIT:
            self._inbox.put_nowait(message)
        else:
            self._messages_refused += 1

    def on_channel_open(self, connection: BrowserConnection) -> None:
        if connection is self._connection:
            self._flush_outbox()

    # ── connections come and go ──────────────────────────────────────────────────────────

    def on_state(self, connection: BrowserConnection, state: str) -> None:
        if state == "connected":
            self._came(connection)
        elif state in ("failed", "closed"):
            self._went(connection, was_clean=state == "closed")

    def _came(self, connection: BrowserConnection) -> None:
        if connection is self._successor:
            assert self._connection is not None and connection.track is not None
            if self._connection.track is not None:
                self._connection.track.playout = None
            self._retired.append(self._connection)
            self._connection, self._successor = connection, None
            connection.track.playout = self._playout
            self._wake.set()
        if connection is not self._connection:
            return
        if not self._presence.was_connected:
            self._inbox.put_nowait(ClientConnectedFrame())
        self._presence.arrived()
        self._flush_outbox()

    def _went(self, connection: BrowserConnection, *, was_clean: bool) -> None:
        if connection is self._successor:
            self._successor = None
            self._retired.append(connection)
            self._wake.set()
        elif connection is self._connection:
            if not self._presence.was_connected:
                if self._successor is None:
                    self._presence.leave("error")
            elif was_clean and self._successor is None and not self._presence.is_lost:
                self._presence.leave("caller")
            else:
                # Its network failed, or it was closed in favour of one that is on its way.
                self._presence.lost()

    async def _mind(self) -> None:
        """Watches over the caller's presence and closes connections that have been replaced."""
        bind_call(self.call_id)
        tick_s = min(_TICK_S, self._options.lost_after_s / 4)
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(tick_s):
                    await self._wake.wait()
            except TimeoutError:
                connection = self._connection
                self._presence.tick(connection.packets_received if connection else 0)
                self._tell_skipped()
            self._wake.clear()
            if self._successor is not None and loop.time() >= self._successor_by_s:
                self._went(self._successor, was_clean=False)
            while self._retired:
                connection = self._retired[-1]
                await connection.close()
                self._retired.remove(connection)
                for name, value in connection.counters().items():
                    self._past[name] = self._past.get(name, 0) + value

    # ── accounts ─────────────────────────────────────────────────────────────────────────

    def counters(self) -> Mapping[str, float]:
        """What became of the sound, for logs and metrics."""
        counted: dict[str, float] = {
            "microphone_dropped_ms": self._microphone.dropped_ms,
            "messages_dropped": self._outbox.dropped + self._messages_refused,
            **asdict(self._playout.counters),
        }
        for part in (self._past, *(c.counters() for c in self._connections())):
            for name, value in part.items():
                counted[name] = counted.get(name, 0) + value
        return counted

    def _connections(self) -> list[BrowserConnection]:
        present = [self._connection, self._successor, *self._retired]
        return [connection for connection in present if connection is not None]

    def _tell_skipped(self) -> None:
        counted = self.counters()
        for where, name, reason in (
            ("microphone", "microphone_dropped_ms", "the pipeline was behind"),
            ("network", "skipped_ms", "packets were lost"),
        ):
            lost_ms = counted.get(name, 0.0) - self._told_ms.get(name, 0.0)
            if lost_ms > 0:
                self._told_ms[name] = counted[name]
                self._announce(
                    AudioSkipped(call_id=self.call_id, where=where, ms=lost_ms, reason=reason)
                )

    def _log_event(self, event: Event) -> None:
        log.warning(event.name, **{k: v for k, v in event.to_dict().items() if k != "event"})
