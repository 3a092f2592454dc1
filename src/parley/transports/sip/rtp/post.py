"""A call's post: what comes in is checked, what goes out goes to the right place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from parley.transports.sip.agreement import Address, Negotiated
from parley.transports.sip.rtp.latch import Latch
from parley.transports.sip.rtp.packet import RtpPacket, is_report, read_packet
from parley.transports.sip.rtp.secrecy import NotGenuine, Secrets
from parley.transports.sip.rtp.wire import Wire


@dataclass(slots=True)
class PostCounters:
    """Datagrams that nobody got to hear, and why; ``unsent`` are ours that the network refused."""

    strangers: int = 0
    malformed: int = 0
    not_genuine: int = 0
    unsent: int = 0


class Post:
    """Reads and writes datagrams, with one address that it believes and perhaps a key.

    ``on_rtp`` gets packets whose type ``knows``, or that come from the believed address;
    ``on_rtcp`` gets reports, decrypted.
    """

    def __init__(
        self,
        wire: Wire,
        knows: Callable[[int], bool],
        on_rtp: Callable[[RtpPacket, float], None],
        on_rtcp: Callable[[bytes, float], None],
    ) -> None:
        self.counters = PostCounters()
        self.latch = Latch()
        self._wire = wire
        self._knows = knows
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._secrets = Secrets()
        self._agreed: Negotiated | None = None
        self._loop = asyncio.get_running_loop()
        wire.listen(self._take, self._take_report)

    def agree(self, agreed: Negotiated) -> None:
        self._agreed = agreed
        self._secrets.agree(agreed.key_out, agreed.key_in)
        self.latch.name(agreed.remote, self._loop.time())

    def close(self) -> None:
        self._wire.mute()

    # ── in ───────────────────────────────────────────────────────────────────────────────

    def _take(self, data: bytes, address: Address) -> None:
        agreed, now_s = self._agreed, self._loop.time()
        if agreed is None:
            return
        if not self.latch.admits(address, now_s):
            self.counters.strangers += 1
        elif is_report(data):
            if agreed.shares_port:
                self._take_report(data, address)
        else:
            packet = self._parse(data)
            if packet is None:
                return
            # What opens with the key is the caller's, wherever it comes from.
            if self._secrets.opener is None and not self.latch.believes(address, packet.ssrc):
                self.counters.strangers += 1
                return
            if self._knows(packet.payload_type):
                self.latch.hear(address, now_s, packet.ssrc)
            if address == self.latch.source:
                self._on_rtp(packet, now_s)

    def _parse(self, data: bytes) -> RtpPacket | None:
        opener = self._secrets.opener
        try:
            return read_packet(data if opener is None else opener.open_rtp(data))
        except NotGenuine:
            self.counters.not_genuine += 1
        except ValueError:
            self.counters.malformed += 1
        return None

    def _take_report(self, data: bytes, address: Address) -> None:
        agreed, target = self._agreed, self.latch.target
        known = agreed.remote_rtcp if agreed is not None else None
        if agreed is None or address[0] not in {place[0] for place in (target, known) if place}:
            self.counters.strangers += 1
            return
        opener = self._secrets.opener
        try:
            report = data if opener is None else opener.open_rtcp(data)
        except NotGenuine:
            self.counters.not_genuine += 1
            return
        self._on_rtcp(report, self._loop.time())

    # ── out ──────────────────────────────────────────────────────────────────────────────

    @property
    def can_send(self) -> bool:
        """Whether it is known where the far side is."""
        return self.latch.target is not None

    def send_rtp(self, packet: bytes) -> None:
        target, seal = self.latch.target, self._secrets.seal
        if target is None:
            return
        try:
            self._wire.send_rtp(packet if seal is None else seal.close_rtp(packet), target)
        except OSError:
            self.counters.unsent += 1

    def send_rtcp(self, report: bytes) -> None:
        target, seal = self._report_target, self._secrets.seal
        if target is None:
            return
        shares_port = self._agreed is not None and self._agreed.shares_port
        send = self._wire.send_rtp if shares_port else self._wire.send_rtcp
        try:
            send(report if seal is None else seal.close_rtcp(report), target)
        except OSError:
            self.counters.unsent += 1

    @property
    def _report_target(self) -> Address | None:
        """Beside the sound: where the SDP says, unless the sound comes from elsewhere."""
        target, agreed = self.latch.target, self._agreed
        if target is None or agreed is None:
            return None
        if agreed.shares_port:
            return target
        if agreed.remote_rtcp is not None and target == agreed.remote:
            return agreed.remote_rtcp
        return target[0], min(target[1] + 1, 65_535)
