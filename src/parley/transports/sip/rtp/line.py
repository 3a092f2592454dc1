"""One call's sound: everything between its SDP and what a session hears and says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

from parley.core.errors import CallNotLive, NotSupported
from parley.transports.keypad import check_digits
from parley.transports.phone_playout import PhonePlayout
from parley.transports.sip.agreement import Negotiated, OurSide, Secrecy
from parley.transports.sip.negotiation import Negotiation
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU, Codec
from parley.transports.sip.rtp.hearing import Hearing
from parley.transports.sip.rtp.packet import RtpPacket
from parley.transports.sip.rtp.post import Post
from parley.transports.sip.rtp.reports import Reporter
from parley.transports.sip.rtp.voice import Voice
from parley.transports.sip.rtp.wire import Wires
from parley.transports.webrtc.microphone import CALLER_RATE_HZ
from parley.transports.webrtc.opus import Libopus
from parley.transports.webrtc.sender import VOICE_RATE_HZ
from parley.transports.wheel import Wheel


@dataclass(frozen=True, slots=True)
class LineOptions:
    """What all calls have in common. ``heard_hz`` is the rate at which the caller is heard and
    ``voice_hz`` that of the agent's sound; ``silence_limit_s`` 0 sets no limit to a far side that
    sends nothing. ``goodbye_ends``: an RTCP BYE counts as such a silence, where no other signal
    ends a call."""

    codecs: tuple[Codec, ...] = (G722, PCMU, PCMA)
    packet_ms: int = 20
    secrecy: Secrecy = "off"
    sends_silence: bool = True
    ahead_ms: int = 60
    heard_hz: int = CALLER_RATE_HZ
    voice_hz: int = VOICE_RATE_HZ
    silence_limit_s: float = 30.0
    goodbye_ends: bool = False


class LineListener(Protocol):
    """Who a line tells of what happens on it; nothing here may wait or raise."""

    def on_sound(self, pcm: bytes) -> None:
        """20 ms of the caller at ``heard_hz``."""
        ...

    def on_digit(self, digit: str) -> None: ...

    def on_media(self) -> None:
        """The first packet has come."""
        ...

    def on_hold(self, is_held: bool) -> None:
        """The far side has put the call on hold, or taken it back."""
        ...

    def on_silence(self) -> None:
        """Nothing has come for ``silence_limit_s``, and the call is not on hold."""
        ...


class PhoneLine:
    """A call's media, from ``answer`` or ``offer`` and ``accept`` to ``close``.

    ``playout`` takes the agent's voice, as that of a browser's call does; what is said after
    ``close`` is thrown away. ``host`` is the address that the far side is told. A ``playout`` of
    the caller's own outlives the line, and is the next one's. Making a line raises
    ``CallLimitReached`` when all ports are taken.
    """

    def __init__(
        self,
        options: LineOptions,
        wires: Wires,
        wheel: Wheel,
        listener: LineListener,
        *,
        host: str = "",
        libopus: Libopus | None = None,
        playout: PhonePlayout | None = None,
    ) -> None:
        self.playout = playout or PhonePlayout(options.ahead_ms, rate_hz=options.voice_hz)
        self._options = options
        self._wires = wires
        self._wheel = wheel
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._wire = wires.take()
        self.playout.reopen()
        self._hearing = Hearing(
            listener.on_sound, listener.on_digit, libopus, rate_hz=options.heard_hz
        )
        self._post = Post(self._wire, self._hearing.knows, self._take, self._take_report)
        self._voice = Voice(
            self.playout, self._post.send_rtp, libopus, sends_silence=options.sends_silence
        )
        self._reporter = Reporter()
        codecs = tuple(codec for codec in options.codecs if codec is not OPUS or libopus)
        place = host or wires.host, self._wire.port
        self._negotiation = Negotiation(OurSide(*place, codecs, options.packet_ms, options.secrecy))
        self._agreed: Negotiated | None = None
        self._heard_s: float | None = None
        self._quiet_since_s = self._loop.time()
        self._silence_told = False
        self._report_s = 0.0
        self._is_closed = False

    # ── what is agreed ───────────────────────────────────────────────────────────────────

    @property
    def agreed(self) -> Negotiated | None:
        return self._agreed

    @property
    def port(self) -> int:
        return self._wire.port

    @property
    def heard_ssrc(self) -> int | None:
        """The stream that is heard; None until one is."""
        reception = self._hearing.reception
        return None if reception is None else reception.ssrc

    @property
    def is_held(self) -> bool:
        """Whether the far side has put the call on hold."""
        return self._agreed is not None and self._agreed.is_held

    def offer(self) -> str:
        """Our description for an INVITE, a first or a further one."""
        self._require_open()
        return self._negotiation.offer()

    def offer_openly(self) -> str:
        """The first offer again, with nothing encrypted."""
        self._require_open()
        return self._negotiation.offer_openly()

    def answer(self, offer: str) -> str:
        """Our answer to the far side's description, a first or a further one.

        Raises ``BadOffer`` or ``IncompatibleOffer`` (488); the call stays as it was then.
        """
        self._require_open()
        answer = self._negotiation.answer(offer)
        assert self._negotiation.agreed is not None
        self.begin(self._negotiation.agreed)
        return answer

    def accept(self, answer: str) -> None:
        """The far side's answer to our offer. Raises as ``answer`` does."""
        self._require_open()
        self.begin(self._negotiation.accept(answer))

    def refuses_secrecy(self, answer: str) -> bool:
        """Whether sound was offered encrypted, and the far side's answer takes none that is."""
        return self._negotiation.refuses_secrecy(answer)

    def hold(self) -> str:
        """The offer that puts the far side on hold, once it is accepted."""
        self._require_open()
        return self._negotiation.offer("sendonly")

    def resume(self) -> str:
        """The offer that takes it back."""
        self._require_open()
        return self._negotiation.offer("sendrecv")

    def begin(self, agreed: Negotiated) -> None:
        """Let sound flow as agreed; for bare RTP without being asked."""
        before, self._agreed = self._agreed, agreed
        self._hearing.agree(agreed)
        self._voice.agree(agreed)
        self._post.agree(agreed)
        now_s = self._loop.time()
        self._rest_from_silence(now_s)
        if before is None:
            self._report_s = now_s + self._reporter.pause_s() / 2
        if before is None or before.packet_ms != agreed.packet_ms:
            self._wheel.join(self, agreed.packet_ms)
        if agreed.is_held != (before is not None and before.is_held):
            self._listener.on_hold(agreed.is_held)

    # ── sound ────────────────────────────────────────────────────────────────────────────

    def _take(self, packet: RtpPacket, now_s: float) -> None:
        if self._hearing.knows(packet.payload_type):
            is_first = self._heard_s is None
            self._heard_s = now_s
            self._rest_from_silence(now_s)
            if is_first:
                self._listener.on_media()
        self._hearing.take(packet, now_s)

    def turn(self, slot: int) -> None:
        """The wheel's call, once per packet."""
        now_s = self._loop.time()
        if self._post.can_send:
            self._voice.turn(slot)
        else:
            self.playout.rest()
        self._hearing.tick(now_s)
        if now_s >= self._report_s:
            self._report(now_s)
        self._mind_silence(now_s)

    async def send_digits(self, digits: str) -> None:
        """Press keys; return when they have gone out. The agent's voice waits meanwhile.

        Raises ``NotSupported`` where the far side takes none this way, and ``CallNotLive``.
        """
        check_digits(digits)
        self._require_open()
        if self._agreed is None or self._agreed.event_type is None:
            raise NotSupported(
                "The far side takes no keys in its RTP.", hint="Send them by SIP INFO."
            )
        await self._voice.digits.send(digits)

    # ── silence ──────────────────────────────────────────────────────────────────────────

    @property
    def silent_for_s(self) -> float:
        """How long nothing has come; counted anew from each agreement."""
        return self._loop.time() - self._quiet_since_s

    def _rest_from_silence(self, now_s: float) -> None:
        self._quiet_since_s = now_s
        self._silence_told = False

    def _mind_silence(self, now_s: float) -> None:
        agreed, limit_s = self._agreed, self._options.silence_limit_s
        if agreed is None or agreed.is_held or not agreed.may_hear:
            self._quiet_since_s = now_s
        elif limit_s and not self._silence_told and now_s - self._quiet_since_s >= limit_s:
            self._silence_told = True
            self._listener.on_silence()

    # ── accounts ─────────────────────────────────────────────────────────────────────────

    def _report(self, now_s: float) -> None:
        self._report_s = now_s + self._reporter.pause_s()
        report = self._reporter.write(self._voice.sent(), self._hearing.reception, now_s)
        self._post.send_rtcp(report)

    def _take_report(self, data: bytes, now_s: float) -> None:
        if not self._reporter.take(data, self._voice.sent(), now_s):
            self._post.counters.malformed += 1
        if self._reporter.far_left and self._options.goodbye_ends and not self._silence_told:
            self._silence_told = True
            self._listener.on_silence()

    def counters(self) -> Mapping[str, float]:
        """What became of the sound, for logs and metrics."""
        reception, far = self._hearing.reception, self._reporter.far
        return {
            **self._hearing.counters(),
            "foreign_packets": self._hearing.foreign_packets,
            "lost_packets": reception.lost if reception else 0,
            "jitter_ms": reception.jitter_ms if reception else 0.0,
            **asdict(self._voice.counters),
            **asdict(self.playout.counters),
            **asdict(self._post.counters),
            "far_lost_packets": far.lost,
            "far_jitter_ms": far.jitter_ms,
            "round_trip_ms": far.round_trip_ms,
        }

    def close(self) -> None:
        """Say goodbye and give the ports back. May be repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        self._wheel.leave(self)
        now_s = self._loop.time()
        if self._agreed is not None:
            self._post.send_rtcp(
                self._reporter.write_goodbye(self._voice.sent(), self._hearing.reception, now_s)
            )
        self._post.close()
        self._wires.release(self._wire)
        self._hearing.finish()
        self._voice.digits.give_up(CallNotLive("The call ended before all keys were sent."))
        self.playout.close()

    def _require_open(self) -> None:
        if self._is_closed:
            raise CallNotLive("The call's line is closed.")
