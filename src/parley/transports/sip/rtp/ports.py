"""The UDP ports for sound: pairs out of a range, even for RTP and odd for RTCP."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from parley.core.errors import BadSettings, CallLimitReached

# Late packets of the last call shouldn't be the first ones of the next.
REST_S = 2.0
# Expedited forwarding (RFC 3246), what networks know voice by.
_VOICE_CLASS = 0xB8
_RECEIVE_BUFFER_BYTES = 256 * 1024


@dataclass(eq=False, slots=True)
class PortPair:
    """Two sockets that are bound to neighbouring ports."""

    rtp: socket.socket
    rtcp: socket.socket
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return self.rtp.family

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortRange:
    """Gives out pairs between ``first`` and ``last`` (both included), and takes them back.

    A pair rests before it is given out again. Pairs that other programs hold are passed over.
    """

    def __init__(self, host: str, first: int, last: int, *, rest_s: float = REST_S) -> None:
        ports = list(range(first + first % 2, last, 2))
        if not ports or not 0 < first <= last <= 65_535:
            raise BadSettings(
                f"There is no pair of ports for sound between {first} and {last}.",
                hint="Each call takes two neighbouring ports, the lower one even.",
            )
        self.host = host
        self.capacity = len(ports)
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._rest_s = rest_s
        start = random.randrange(len(ports))
        self._free = deque(ports[start:] + ports[:start])
        self._resting: deque[tuple[float, int]] = deque()

    def take(self) -> PortPair:
        """Raises ``CallLimitReached`` when no pair is left."""
        self._wake()
        for _ in range(len(self._free)):
            port = self._free.popleft()
            pair = self._bind(port)
            if pair is not None:
                return pair
            self._free.append(port)
        raise CallLimitReached(
            f"All {self.capacity} pairs of ports for sound are taken.",
            hint="Widen the range of RTP ports, or try again when a call has ended.",
        )

    def release(self, pair: PortPair) -> None:
        pair.close()
        self._resting.append((asyncio.get_running_loop().time() + self._rest_s, pair.port))

    def _wake(self) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._resting and self._resting[0][0] <= now_s:
            self._free.append(self._resting.popleft()[1])

    def _bind(self, port: int) -> PortPair | None:
        rtp = rtcp = None
        try:
            rtp = self._open(port)
            rtcp = self._open(port + 1)
        except OSError:
            for opened in (rtp, rtcp):
                if opened is not None:
                    opened.close()
            return None
        return PortPair(rtp, rtcp, port)

    def _open(self, port: int) -> socket.socket:
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            # Voice goes without the mark as well, where marking isn't allowed.
            with suppress(OSError):
                if self._family == socket.AF_INET:
                    opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _VOICE_CLASS)
                else:
                    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _VOICE_CLASS)
            opened.bind((self.host, port))
        except BaseException:
            opened.close()
            raise
        return opened
