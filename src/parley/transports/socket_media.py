"""A call whose sound comes and goes over a WebSocket as plain PCM, as the session sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from parley.core.call import EndReason
from parley.core.events import AudioSkipped, Event
from parley.core.log import get_logger
from parley.session.media import PlainMedia
from parley.transports.paced_line import PacedLine
from parley.transports.pcm_ears import PatientMicrophone, PcmEars
from parley.transports.phone_playout import PhonePlayout
from parley.transports.webrtc.processors import CallerInput, CallerOutput
from parley.transports.webrtc.sender import PACKET_MS, VOICE_RATE_HZ
from parley.transports.wheel import Wheel

log = get_logger(__name__)

AHEAD_MS = 40
CLOSING_LIMIT_S = 1.0
TELL_EVERY_S = 1.0
"""How often it is told that sound was skipped: who floods a socket floods nobody with events."""

GONE: frozenset[EndReason] = frozenset({"caller", "error"})
"""Ends after which nobody is there to be spoken to."""
CLOSE_CODES: dict[EndReason, int] = {"drain": 1001, "quota": 1008, "error": 1011}


class PcmSocketMedia(PlainMedia):
    """Implements ``CallMedia``. The call outlives its socket by ``grace_s``, and may be carried on
    over another one: ``take_line``.

    ``rate_hz`` is that of the voice on the line. A far side that sends no sound for ``silent_s``
    has gone; ``call_s`` ends the call by itself. 0 sets no limit.
    """

    output_rate_hz = VOICE_RATE_HZ

    def __init__(
        self,
        call_id: str,
        wheel: Wheel,
        *,
        rate_hz: int,
        silent_s: float,
        grace_s: float = 0.0,
        call_s: float = 0.0,
        is_stream: bool = False,
    ) -> None:
        self.call_id = call_id
        self.line: PacedLine | None = None
        self.rate_hz = rate_hz
        self._wheel = wheel
        self._silent_s = silent_s
        self._grace_s = grace_s
        self._call_s = call_s
        self._playout = PhonePlayout(AHEAD_MS, codec_hz=rate_hz)
        self._microphone = PatientMicrophone()
        self._ears = PcmEars(self._microphone, is_stream=is_stream)
        self._input = CallerInput(self._microphone, asyncio.Queue())
        self._output = CallerOutput(self._playout, _nobody_reads, passes_voice_on=False)
        self._left: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._announce: Callable[[Event], None] = _nobody_reads
        self._told_ms = 0.0
        self._told_s = float("-inf")
        self._began_s = self._heard_s = self._now_s()
        self._lost_s: float | None = None
        self._is_closed = False
        wheel.join(self, PACKET_MS)

    @staticmethod
    def _now_s() -> float:
        return time.monotonic()

    # ── the socket ───────────────────────────────────────────────────────────────────────

    def take_line(self, line: PacedLine) -> PacedLine | None:
        """Go on over this one; the answer is the one before, which carries nothing any more."""
        before, self.line = self.line, line
        if before is not None:
            before.playout = None
        line.playout = self._playout
        self._lost_s = None
        self._heard_s = self._now_s()
        return before

    def lose_line(self, line: PacedLine, *, is_goodbye: bool) -> None:
        """It is gone. ``is_goodbye``: the far side has said so, and comes back with no other."""
        if line is not self.line:
            return
        line.playout = self.line = None
        if is_goodbye or not self._grace_s:
            self.leave("caller")
        else:
            self._lost_s = self._now_s()

    def hear(self, pcm: bytes, rate_hz: int) -> None:
        """Sound of the caller: s16le mono, of any length."""
        if pcm:
            self._heard_s = self._now_s()
            self._ears.hear(pcm, rate_hz, self._heard_s)

    def speak_at(self, rate_hz: int) -> None:
        """Change the rate of the voice on the line."""
        if rate_hz != self.rate_hz:
            self.rate_hz = rate_hz
            self._playout.change_codec(rate_hz, PACKET_MS)

    def leave(self, reason: EndReason) -> None:
        """The call is over for good. The first reason counts."""
        if reason in GONE:
            # Nobody waits for what is still to be said.
            self._playout.close()
        if not self._left.done():
            self._left.set_result(reason)

    @property
    def has_left(self) -> bool:
        return self._left.done()

    def turn(self, slot: int) -> None:
        """The wheel says that 20 ms have gone by."""
        now_s = self._now_s()
        if self.line is None:
            # Speech goes on, and nobody hears it.
            self._playout.take()
        self._ears.tick(now_s)
        if now_s - self._told_s >= TELL_EVERY_S:
            self._tell_skipped()
        if self._lost_s is not None and now_s - self._lost_s > self._grace_s:
            self.leave("caller")
        elif self._silent_s and now_s - self._heard_s > self._silent_s:
            log.info("socket_silent", call_id=self.call_id, silent_s=self._silent_s)
            self.leave("caller")
        elif self._call_s and now_s - self._began_s > self._call_s:
            self.leave("limit")

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    def input(self) -> CallerInput:
        return self._input

    def output(self) -> CallerOutput:
        return self._output

    async def connected(self) -> None:
        """A session begins when the socket is open."""

    async def gone(self) -> EndReason:
        return await asyncio.shield(self._left)

    @property
    def played_ms(self) -> int:
        return self._playout.played_ms

    def clear(self) -> int:
        return self._playout.clear()

    def listen(self, announce: Callable[[Event], None]) -> None:
        self._announce = announce

    async def hang_up(self, reason: EndReason) -> None:
        self.leave(reason)
        if not self._is_closed:
            self._is_closed = True
            self._wheel.leave(self)
            self._microphone.switch_off()
            self._tell_skipped()
            self.free()
        if self.line is not None:
            self.line.playout = None
            self.line.close(CLOSE_CODES.get(reason, 1000), reason)
            # Who reads nothing, or never answers, is not waited for.
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_LIMIT_S):
                    await self.line.closed.wait()

    def free(self) -> None:
        """What else the call holds is let go, once."""

    def _tell_skipped(self) -> None:
        new_ms = self._microphone.dropped_ms - self._told_ms
        if new_ms > 0:
            self._told_ms += new_ms
            self._told_s = self._now_s()
            self._announce(
                AudioSkipped(
                    call_id=self.call_id,
                    where="microphone",
                    ms=new_ms,
                    reason="more came than could be heard",
                )
            )


def _nobody_reads(_: Any) -> None:
    """Before the session listens there is nobody to tell, and this line takes no messages."""
