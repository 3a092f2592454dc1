"""A call's way to the network: datagrams in, datagrams out, for its sound and its reports."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from parley.transports.sip.agreement import Address

MAX_DATAGRAM_BYTES = 2048
# Expedited forwarding (RFC 3246), what networks know voice by.
_VOICE_CLASS = 0xB8
_RECEIVE_BUFFER_BYTES = 256 * 1024

Take = Callable[[bytes, Address], None]


class Wire(Protocol):
    """``send_rtp`` and ``send_rtcp`` raise ``OSError`` where the network refuses."""

    @property
    def port(self) -> int:
        """Where sound is expected."""
        ...

    def listen(self, on_rtp: Take, on_rtcp: Take) -> None:
        """Give what comes to these two, from now on and until ``mute``."""
        ...

    def mute(self) -> None: ...

    def close(self) -> None: ...

    def send_rtp(self, data: bytes, target: Address) -> None: ...

    def send_rtcp(self, data: bytes, target: Address) -> None: ...


class Wires(Protocol):
    """Where lines get their wires from. ``take`` raises ``CallLimitReached``."""

    @property
    def host(self) -> str: ...

    def take(self) -> Wire: ...

    def release(self, wire: Wire) -> None: ...


def read_one(opened: socket.socket, take: Take) -> None:
    """Take the next datagram off a socket."""
    # One at a time: asking whether there is another costs as much as being told of it.
    try:
        data, address = opened.recvfrom(MAX_DATAGRAM_BYTES)
    except OSError:
        # Nothing there after all, or an earlier datagram of ours found nobody.
        return
    take(data, address[:2])


def open_socket(host: str, port: int, *, is_v6_only: bool = False) -> socket.socket:
    """A UDP socket for voice. Raises ``OSError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        if is_v6_only and family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Voice goes without the mark as well, where marking isn't allowed.
        with suppress(OSError):
            if family == socket.AF_INET:
                opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _VOICE_CLASS)
            else:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _VOICE_CLASS)
        opened.bind((host, port))
    except BaseException:
        opened.close()
        raise
    return opened
