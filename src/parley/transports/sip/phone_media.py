"""A telephone call as the session sees it: its sound, its keys, hold, transfer and goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from parley.core.call import Ability, EndReason
from parley.core.errors import CallNotLive, FarSideRefused, ParleyError
from parley.core.events import AudioSkipped, CallHeld, CallResumed, DtmfReceived, Event
from parley.core.log import get_logger
from parley.session.media import PlainMedia
from parley.transports.keypad import check_digits
from parley.transports.sip.info_keys import RELAY, read_key, write_key
from parley.transports.sip.ringing import Answered
from parley.transports.sip.rtp.line import LineListener, PhoneLine
from parley.transports.webrtc.microphone import Microphone
from parley.transports.webrtc.processors import CallerInput, CallerOutput
from parley.transports.webrtc.sender import VOICE_RATE_HZ

log = get_logger(__name__)

MICROPHONE_LIMIT_MS = 400
# A telephone that doesn't answer our BYE is told again for half a minute, without the session.
GOODBYE_LIMIT_S = 2.0

_PIECES_PER_ACCOUNT = 50
_REFUSALS = {
    403: "that is not allowed",
    404: "nobody is known under that number",
    405: "the caller's side transfers no calls",
    408: "nobody answered",
    480: "nobody answered",
    486: "the line is busy",
    501: "the caller's side transfers no calls",
    600: "the line is busy",
    603: "the call was declined",
}
_ENDINGS: dict[str, EndReason] = {"far": "caller", "us": "agent", "lost": "error"}


class PhoneMedia(PlainMedia):
    """Implements ``CallMedia`` for one call. ``line`` is its sound; ``take_over`` gives it the call
    that the sound belongs to. ``on_over`` is called once, when everything is free.
    """

    output_rate_hz = VOICE_RATE_HZ
    abilities: frozenset[Ability] = frozenset({"digits", "hold", "transfer"})

    def __init__(
        self,
        call_id: str,
        make_line: Callable[[LineListener], PhoneLine],
        on_over: Callable[[PhoneMedia], None],
    ) -> None:
        """Raises ``CallLimitReached`` when there are no ports left."""
        self.call_id = call_id
        self._on_over = on_over
        self._microphone = Microphone(MICROPHONE_LIMIT_MS)
        self._announce: Callable[[Event], None] | None = None
        self._unheard: list[Event] = []
        self._call: Answered | None = None
        self._end: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        self._pieces = 0
        self._told_ms: dict[str, float] = {}
        self._keys_come_by = ""
        self.line = make_line(self)
        self._input = CallerInput(self._microphone, asyncio.Queue())
        self._output = CallerOutput(self.line.playout, _nobody_reads, passes_voice_on=False)

    def take_over(self, call: Answered) -> None:
        """The call was answered, and may say so any moment."""
        self._call = call
        call.on_reinvite = self._change
        call.on_answer = self._take_answer
        call.on_info = self._take_info
        call.over.add_done_callback(lambda over: self._leave(_ENDINGS[over.result().by]))

    @property
    def call(self) -> Answered:
        if self._call is None or self._call.over.done():
            raise CallNotLive("The call is over.")
        return self._call

    # ── CallMedia ────────────────────────────────────────────────────────────────────────

    def input(self) -> CallerInput:
        return self._input

    def output(self) -> CallerOutput:
        return self._output

    async def connected(self) -> None:
        """A session begins when the answer has been acknowledged: both can be heard then."""

    async def gone(self) -> EndReason:
        return await asyncio.shield(self._end)

    @property
    def played_ms(self) -> int:
        return self.line.playout.played_ms

    def clear(self) -> int:
        return self.line.playout.clear()

    def listen(self, announce: Callable[[Event], None]) -> None:
        self._announce = announce
        for event in self._unheard:
            announce(event)
        self._unheard.clear()

    async def send_dtmf(self, digits: str) -> None:
        """Press keys beside the sound, or by INFO where the far side takes none there."""
        digits, call = check_digits(digits), self.call
        agreed = self.line.agreed
        if agreed is not None and agreed.event_type is not None:
            await self.line.send_digits(digits)
            return
        for digit in digits:
            status = await call.send_info(RELAY, write_key(digit))
            if not 200 <= status < 300:
                raise FarSideRefused(f"The far side takes no keys: {status} to INFO.")

    async def hold(self) -> None:
        self.line.accept(await self.call.reinvite(self.line.hold))

    async def resume(self) -> None:
        self.line.accept(await self.call.reinvite(self.line.resume))

    async def transfer(self, target: str) -> None:
        """Hand the caller on; our part of the call ends once the target has taken it."""
        status = await self.call.refer(target)
        if not 200 <= status < 300:
            why = _REFUSALS.get(status, "the other side refused")
            raise FarSideRefused(f"The call couldn't be transferred: {why} ({status}).")
        self._leave("agent")

    async def hang_up(self, reason: EndReason) -> None:
        if self._closing is None:
            self._leave(reason)
            self._closing = asyncio.create_task(self._close(reason), name=f"hang_up:{self.call_id}")
        await asyncio.shield(self._closing)

    async def _close(self, reason: EndReason) -> None:
        self._microphone.switch_off()
        self.line.close()
        self._tell_skipped()
        try:
            if self._call is not None:
                async with asyncio.timeout(GOODBYE_LIMIT_S):
                    await self._call.bye("" if reason == "agent" else reason)
        except TimeoutError:
            log.warning("sip_goodbye_unanswered")
        finally:
            log.info("sip_call_closed", reason=reason, **self.line.counters())
            self._on_over(self)

    def _leave(self, reason: EndReason) -> None:
        """The call is over for good. The first reason counts."""
        if not self._end.done():
            self._end.set_result(reason)

    # ── what the far side asks for within the call ───────────────────────────────────────

    async def _change(self, offer: str) -> str:
        self._keys_come_by = ""
        return self.line.answer(offer) if offer else self.line.offer()

    async def _take_answer(self, answer: str) -> None:
        try:
            self.line.accept(answer)
        except ParleyError as error:
            log.warning("sip_bad_answer", code=error.code, error=error.message)

    async def _take_info(self, kind: str, body: str) -> None:
        self._press(read_key(kind, body), "info")

    def _press(self, digit: str, way: str) -> None:
        # Some telephones send each key both ways; it was pressed once.
        self._keys_come_by = self._keys_come_by or way
        if way == self._keys_come_by:
            self._tell(DtmfReceived(call_id=self.call_id, digit=digit))

    # ── LineListener ─────────────────────────────────────────────────────────────────────

    def on_sound(self, pcm: bytes) -> None:
        self._microphone.put(pcm)
        self._pieces += 1
        if self._pieces % _PIECES_PER_ACCOUNT == 0:
            self._tell_skipped()

    def on_digit(self, digit: str) -> None:
        self._press(digit, "rtp")

    def on_media(self) -> None:
        log.info("rtp_started", call_id=self.call_id)

    def on_hold(self, is_held: bool) -> None:
        kind = CallHeld if is_held else CallResumed
        self._tell(kind(call_id=self.call_id))

    def on_silence(self) -> None:
        log.warning("rtp_silent", call_id=self.call_id, silent_s=round(self.line.silent_for_s))
        self._leave("error")

    # ── accounts ─────────────────────────────────────────────────────────────────────────

    def _tell_skipped(self) -> None:
        for where, lost_ms, reason in (
            ("microphone", self._microphone.dropped_ms, "the pipeline was behind"),
            ("network", self.line.counters().get("skipped_ms", 0.0), "packets were lost"),
        ):
            new_ms = lost_ms - self._told_ms.get(where, 0.0)
            if new_ms > 0:
                self._told_ms[where] = lost_ms
                self._tell(
                    AudioSkipped(call_id=self.call_id, where=where, ms=new_ms, reason=reason)
                )

    def _tell(self, event: Event) -> None:
        if self._announce is None:
            self._unheard.append(event)
        else:
            self._announce(event)


def _nobody_reads(_: Any) -> None:
    """Messages for a page; a telephone has no screen."""
