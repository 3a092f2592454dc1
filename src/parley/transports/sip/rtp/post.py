"""A call's two sockets: what comes in is checked, what goes out goes to the right place."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from aiortc.rtp import RtpPacket, is_rtcp

from parley.transports.sip.agreement import Address, Negotiated
from parley.transports.sip.rtp.latch import Latch
from parley.transports.sip.rtp.ports import PortPair
from parley.transports.sip.rtp.secrecy import NotGenuine, Secrets

MAX_DATAGRAM_BYTES = 2048


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
        pair: PortPair,
        knows: Callable[[int], bool],
        on_rtp: Callable[[RtpPacket, float], None],
        on_rtcp: Callable[[bytes, float], None],
    ) -> None:
        self.counters = PostCounters()
        self.latch = Latch()
        self._pair = pair
        self._knows = knows
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._secrets = Secrets()
        self._agreed: Negotiated | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pair.rtp, partial(self._read, pair.rtp, self._take))
        self._loop.add_reader(pair.rtcp, partial(self._read, pair.rtcp, self._take_report))

    def agree(self, agreed: Negotiated) -> None:
        self._agreed = agreed
        self._secrets.agree(agreed.key_out, agreed.key_in)
        self.latch.name(agreed.remote, self._loop.time())

    def close(self) -> None:
        self._loop.remove_reader(self._pair.rtp)
        self._loop.remove_reader(self._pair.rtcp)

    # ── in ───────────────────────────────────────────────────────────────────────────────

    def _read(self, opened: socket.socket, take: Callable[[bytes, Address], None]) -> None:
        # One at a time: asking whether there is another costs as much as being told of it.
        try:
            data, address = opened.recvfrom(MAX_DATAGRAM_BYTES)
        except OSError:
            # Nothing there after all, or an earlier datagram of ours found nobody.
            return
        take(data, address[:2])

    def _take(self, data: bytes, address: Address) -> None:
        agreed, now_s = self._agreed, self._loop.time()
        if agreed is None:
            return
        if not self.latch.admits(address, now_s):
            self.counters.strangers += 1
        elif is_rtcp(data):
            if agreed.shares_port:
                self._take_report(data, address)
        else:
            packet = self._parse(data)
            if packet is None:
                return
            if self._knows(packet.payload_type):
                self.latch.hear(address, now_s)
            if address == self.latch.source:
                self._on_rtp(packet, now_s)

    def _parse(self, data: bytes) -> RtpPacket | None:
        opener = self._secrets.opener
        try:
            return RtpPacket.parse(data if opener is None else opener.open_rtp(data))
        except NotGenuine:
            self.counters.not_genuine += 1
        except (ValueError, LookupError, ArithmeticError):
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
        seal = self._secrets.seal
        self._send(self._pair.rtp, packet if seal is None else seal.close_rtp(packet), self._rtp)

    def send_rtcp(self, report: bytes) -> None:
        seal = self._secrets.seal
        opened = self._pair.rtcp
        if self._agreed is not None and self._agreed.shares_port:
            opened = self._pair.rtp
        self._send(opened, report if seal is None else seal.close_rtcp(report), self._rtcp)

    @property
    def _rtp(self) -> Address | None:
        return self.latch.target

    @property
    def _rtcp(self) -> Address | None:
        """Beside the sound: where the SDP says, unless the sound comes from elsewhere."""
        target, agreed = self.latch.target, self._agreed
        if target is None or agreed is None:
            return None
        if agreed.shares_port:
            return target
        if agreed.remote_rtcp is not None and target == agreed.remote:
            return agreed.remote_rtcp
        return target[0], min(target[1] + 1, 65_535)

    def _send(self, opened: socket.socket, data: bytes, target: Address | None) -> None:
        if target is None:
            return
        try:
            opened.sendto(data, target)
        except OSError:
            self.counters.unsent += 1
