"""A Realtime client at the other end of a WebSocket, as the session sees it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress

from parley.core.call import EndReason
from parley.core.errors import ParleyError
from parley.core.events import AudioSkipped, CallFailed, Event, MediaStarted
from parley.core.log import get_logger
from parley.session.control import SessionControl
from parley.session.media import PlainMedia
from parley.transports.realtime.ears import EARS_RATE_HZ, ClientSound, Ears
from parley.transports.realtime.mouth import ClientVoice, PlayClock
from parley.transports.realtime.sound import Decoder
from parley.transports.realtime.talk import Talk
from parley.transports.realtime.wire import Fault, ServerEvent, error_event

log = get_logger(__name__)

MOST_WAITING_BYTES = 64 * 1024 * 1024
_LAST_EVENTS_LIMIT_S = 2.0


class SocketMedia(PlainMedia):
    """Implements ``CallMedia`` and the line of ``Talk``.

    What goes to the client waits in ``outbox``; None in it means that the call is over.
    """

    uses_rtvi = False
    carries_sound = True

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.outbox: asyncio.Queue[str | None] = asyncio.Queue()
        self.is_flushed = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.is_over = asyncio.Event()
        self.ended_with: EndReason | None = None
        self.failure: CallFailed | None = None
        self._is_ending = False
        self._waiting_bytes = 0
        self._control: SessionControl | None = None
        self._talk: Talk | None = None
        self._decoder: Decoder | None = None
        self._announce: Callable[[Event], None] = lambda event: None
        self._clock = PlayClock()
        self._ears = Ears()
        self._left: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._input = ClientSound(self._ears)
        self._output: ClientVoice | None = None

    def carry(self, talk: Talk) -> None:
        """Say what the conversation is, before the call begins."""
        self._talk = talk
        self._output = ClientVoice(self._clock, talk.replies.sound, talk.replies.frame)

    def hand_over(self, control: SessionControl) -> None:
        self._control = control

    def leave(self, reason: EndReason) -> None:
        """The client is gone."""
        if not self._left.done():
            self._left.set_result(reason)

    @property
    def has_left(self) -> bool:
        """Whether nothing that the client still sends matters."""
        return self._left.done()

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    def input(self) -> ClientSound:
        return self._input

    def output(self) -> ClientVoice:
        assert self._output is not None, "no conversation is carried yet"
        return self._output

    async def connected(self) -> None:
        return None

    async def gone(self) -> EndReason:
        talk = self._talk
        assert talk is not None
        try:
            async with asyncio.timeout(talk.config.expires_at - time.time()):
                return await asyncio.shield(self._left)
        except TimeoutError:
            return "limit"

    @property
    def played_ms(self) -> int:
        return self._clock.played_ms

    def clear(self) -> int:
        self._clock.stop()
        return self.played_ms

    def listen(self, announce: Callable[[Event], None]) -> None:
        self._announce = announce

    async def deliver(self, event: Event) -> None:
        talk = self._talk
        assert talk is not None
        if isinstance(event, MediaStarted):
            assert self._control is not None
            try:
                await talk.begin(self._control)
            except (Fault, ParleyError) as fault:
                # A client secret's session was checked when it was made; voices come and go.
                self.send(error_event(fault))
            self.has_begun.set()
        elif isinstance(event, CallFailed):
            self.failure = event
        talk.tell(event)

    async def hang_up(self, reason: EndReason) -> None:
        if not self._is_ending:
            self._is_ending = True
            if self._talk is not None:
                await self._talk.close()
            self.ended_with = reason
            self.leave(reason)
            self.outbox.put_nowait(None)
            self.has_begun.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_EVENTS_LIMIT_S):
                await self.is_flushed.wait()
        self.is_over.set()

    # ── Line ─────────────────────────────────────────────────────────────────────────────

    def send(self, event: ServerEvent) -> None:
        if self.ended_with is not None or self._waiting_bytes > MOST_WAITING_BYTES:
            return
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        self._waiting_bytes += len(text)
        if self._waiting_bytes > MOST_WAITING_BYTES:
            log.warning("realtime_client_reads_nothing", call_id=self.call_id)
            self.leave("error")
            return
        self.outbox.put_nowait(text)

    def sent(self, text: str) -> None:
        """That event is on its way."""
        self._waiting_bytes -= len(text)

    def hear(self, sound: bytes) -> None:
        talk = self._talk
        assert talk is not None
        form = talk.config.form.audio.input
        self._ears.is_patient = form.turn_detection is not None
        if self._decoder is None or self._decoder.format != form.format.type:
            self._decoder = Decoder(form.format.type, EARS_RATE_HZ)
        self._put(self._decoder.push(sound))

    async def heard(self) -> None:
        if self._decoder is not None:
            self._put(self._decoder.flush())
        await self._ears.drained()

    def forget(self) -> None:
        self._ears.clear()
        self._decoder = None

    def clear_output(self) -> bool:
        return False

    def _put(self, pcm: bytes) -> None:
        if lost_ms := self._ears.put(pcm):
            self._announce(
                AudioSkipped(
                    call_id=self.call_id,
                    where="microphone",
                    ms=lost_ms,
                    reason="the client sent more than could be heard",
                )
            )
