"""The UDP ports for sound: pairs out of a range, even for RTP and odd for RTCP."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from dataclasses import dataclass
from functools import partial

from parley.core.errors import BadSettings, CallLimitReached
from parley.transports.sip.agreement import Address
from parley.transports.sip.rtp.wire import Take, Wire, open_socket, read_one

# Late packets of the last call shouldn't be the first ones of the next.
REST_S = 2.0


@dataclass(eq=False, slots=True)
class PortPair:
    """Two sockets that are bound to neighbouring ports."""

    rtp: socket.socket
    rtcp: socket.socket
    port: int

    def listen(self, on_rtp: Take, on_rtcp: Take) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.rtp, partial(read_one, self.rtp, on_rtp))
        loop.add_reader(self.rtcp, partial(read_one, self.rtcp, on_rtcp))

    def mute(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.rtp)
        loop.remove_reader(self.rtcp)

    def send_rtp(self, data: bytes, target: Address) -> None:
        self.rtp.sendto(data, target)

    def send_rtcp(self, data: bytes, target: Address) -> None:
        self.rtcp.sendto(data, target)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortRange:
    """Gives out pairs between ``first`` and ``last`` (both included), and takes them back.

    A pair rests before it is given out again. Pairs that other programs hold are passed over.
    ``is_v6_only``: at an IPv6 address nothing of IPv4 is taken.
    """

    def __init__(
        self,
        host: str,
        first: int,
        last: int,
        *,
        rest_s: float = REST_S,
        is_v6_only: bool = False,
    ) -> None:
        ports = list(range(first + first % 2, last, 2))
        if not ports or not 0 < first <= last <= 65_535:
            raise BadSettings(
                f"There is no pair of ports for sound between {first} and {last}.",
                hint="Each call takes two neighbouring ports, the lower one even: set "
                "RTP_MIN_PORT and RTP_MAX_PORT so.",
            )
        self.host = host
        self.capacity = len(ports)
        self._rest_s = rest_s
        self._is_v6_only = is_v6_only
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

    def release(self, wire: Wire) -> None:
        wire.close()
        self._resting.append((asyncio.get_running_loop().time() + self._rest_s, wire.port))

    def _wake(self) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._resting and self._resting[0][0] <= now_s:
            self._free.append(self._resting.popleft()[1])

    def _bind(self, port: int) -> PortPair | None:
        rtp = rtcp = None
        try:
            rtp = open_socket(self.host, port, is_v6_only=self._is_v6_only)
            rtcp = open_socket(self.host, port + 1, is_v6_only=self._is_v6_only)
        except OSError:
            for opened in (rtp, rtcp):
                if opened is not None:
                    opened.close()
            return None
        return PortPair(rtp, rtcp, port)
