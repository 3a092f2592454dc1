"""RTCP (RFC 3550): what is told of the sound that was sent and of the sound that came."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass

from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    clamp_packets_lost,
)

INTERVAL_S = 5.0
_CNAME = 1
_NTP_EPOCH_S = 2_208_988_800
_MIDDLE = 0xFFFF_FFFF
# Further apart than this, two sequence numbers are of two streams (RFC 3550, A.1).
_MAX_DROPOUT = 3000


class Reception:
    """Loss and jitter of one stream, as RFC 3550 counts them."""

    def __init__(self, ssrc: int, sequence_number: int, clock_hz: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self._clock_hz = clock_hz
        self._highest = sequence_number
        self._base = sequence_number
        self._transit: float | None = None
        self._jitter_ticks = 0.0
        self._reported_expected = 0
        self._reported_received = 0

    def add(self, sequence_number: int, timestamp: int, now_s: float) -> None:
        step = (sequence_number - self._highest) & 0xFFFF
        if step < _MAX_DROPOUT:
            self._highest += step
        elif step < 0x10000 - _MAX_DROPOUT:
            self._highest = self._base = sequence_number
            self.received = self._reported_expected = self._reported_received = 0
        self.received += 1
        transit = now_s * self._clock_hz - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            # A timestamp that wraps around, or a pause, is no jitter.
            if change < self._clock_hz:
                self._jitter_ticks += (change - self._jitter_ticks) / 16
        self._transit = transit

    @property
    def expected(self) -> int:
        return self._highest - self._base + 1

    @property
    def lost(self) -> int:
        return max(0, self.expected - self.received)

    @property
    def jitter_ms(self) -> float:
        return self._jitter_ticks * 1000 / self._clock_hz

    def report(self, lsr: int, dlsr: int) -> RtcpReceiverInfo:
        """What is told of the time since the last report."""
        expected = self.expected - self._reported_expected
        lost = expected - (self.received - self._reported_received)
        self._reported_expected, self._reported_received = self.expected, self.received
        fraction = min(255, max(0, lost) * 256 // expected) if expected > 0 else 0
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            packets_lost=clamp_packets_lost(self.expected - self.received),
            highest_sequence=self._highest & 0xFFFF_FFFF,
            jitter=int(self._jitter_ticks) & 0xFFFF_FFFF,
            lsr=lsr,
            dlsr=dlsr,
        )


@dataclass(slots=True)
class FarReport:
    """What the far side says of our sound."""

    lost: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float = 0.0
    reports: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out so far; ``timestamp`` is that of the present moment."""

    ssrc: int
    packets: int
    octets: int
    timestamp: int
    clock_hz: int


class Reporter:
    """One call's reports, both ways."""

    def __init__(self) -> None:
        self.far = FarReport()
        self.far_left = False
        """The far side has said goodbye."""
        self._name = secrets.token_urlsafe(12).encode()
        self._told_packets = 0
        self._last_sr = 0
        self._last_sr_s = 0.0

    @staticmethod
    def pause_s() -> float:
        """Until the next report; at random, lest all calls report at once."""
        return INTERVAL_S * random.uniform(0.5, 1.5)

    def write(self, sent: Sent, reception: Reception | None, now_s: float) -> bytes:
        reports = [] if reception is None else [self._report(reception, now_s)]
        if sent.packets != self._told_packets:
            self._told_packets = sent.packets
            info = RtcpSenderInfo(
                ntp_timestamp=_ntp_now(),
                rtp_timestamp=sent.timestamp,
                packet_count=sent.packets & 0xFFFF_FFFF,
                octet_count=sent.octets & 0xFFFF_FFFF,
            )
            head = bytes(RtcpSrPacket(ssrc=sent.ssrc, sender_info=info, reports=reports))
        else:
            head = bytes(RtcpRrPacket(ssrc=sent.ssrc, reports=reports))
        source = RtcpSourceInfo(ssrc=sent.ssrc, items=[(_CNAME, self._name)])
        return head + bytes(RtcpSdesPacket(chunks=[source]))

    def write_goodbye(self, sent: Sent, reception: Reception | None, now_s: float) -> bytes:
        return self.write(sent, reception, now_s) + bytes(RtcpByePacket(sources=[sent.ssrc]))

    def _report(self, reception: Reception, now_s: float) -> RtcpReceiverInfo:
        delay = int((now_s - self._last_sr_s) * 65_536) if self._last_sr else 0
        return reception.report(self._last_sr, min(delay, _MIDDLE))

    def take(self, data: bytes, sent: Sent, now_s: float) -> bool:
        """A report of the far side; whether it can be read."""
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, ArithmeticError, LookupError):
            return False
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                self._last_sr = packet.sender_info.ntp_timestamp >> 16 & _MIDDLE
                self._last_sr_s = now_s
            if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
                for report in packet.reports:
                    if report.ssrc == sent.ssrc:
                        self._note(report, sent.clock_hz)
            elif isinstance(packet, RtcpByePacket):
                self.far_left = True
        return True

    def _note(self, report: RtcpReceiverInfo, clock_hz: int) -> None:
        self.far.reports += 1
        self.far.lost = report.packets_lost
        self.far.jitter_ms = report.jitter * 1000 / clock_hz
        if report.lsr:
            travelled = ((_ntp_now() >> 16 & _MIDDLE) - report.lsr - report.dlsr) & _MIDDLE
            # Half the range or more lies in the past: the two clocks disagree.
            if travelled < 0x8000_0000:
                self.far.round_trip_ms = travelled * 1000 / 65_536


def _ntp_now() -> int:
    return int((time.time() + _NTP_EPOCH_S) * 2**32) & 0xFFFF_FFFF_FFFF_FFFF
