"""The other side of a call in the tests: a socket pair that sends and notes RTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

from aiortc.rtp import RtpPacket

from parley.core.g711 import to_alaw, to_ulaw
from parley.transports.sip.rtp.codecs import G722Encoder

LOOPBACK = "127.0.0.1"


def sdp(port: int = 4000, *, formats: str = "0", lines: Iterable[str] = (), **options: str) -> str:
    """A phone's description; ``profile`` and ``host`` may be others than the usual ones."""
    host = options.get("host", LOOPBACK)
    kind = "IP6" if ":" in host else "IP4"
    head = [
        "v=0",
        f"o=- 1 1 IN {kind} {host}",
        "s=call",
        f"c=IN {kind} {host}",
        "t=0 0",
        f"m=audio {port} {options.get('profile', 'RTP/AVP')} {formats}",
    ]
    return "\r\n".join([*head, *lines]) + "\r\n"


EVENTS = ("a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-15")


def packets(
    pcm: bytes,
    *,
    codec: str = "ulaw",
    packet_ms: int = 20,
    first: int = 0,
    timestamp: int = 0,
    ssrc: int = 1,
) -> list[RtpPacket]:
    """Sound as a phone sends it: 8 kHz, or 16 kHz for G.722."""
    encode, kind, rate_hz = {
        "ulaw": (to_ulaw, 0, 8000),
        "alaw": (to_alaw, 8, 8000),
        "g722": (G722Encoder(packet_ms).encode, 9, 16_000),
    }[codec]
    size = rate_hz * packet_ms // 1000 * 2
    return [
        RtpPacket(
            kind,
            int(n == 0),
            (first + n) & 0xFFFF,
            (timestamp + n * 8 * packet_ms) & 0xFFFF_FFFF,
            ssrc,
            encode(pcm[at : at + size]),
        )
        for n, at in enumerate(range(0, len(pcm) - size + 1, size))
    ]


class Notes:
    """A ``LineListener`` that remembers."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.digits: list[str] = []
        self.holds: list[bool] = []
        self.media = 0
        self.silences = 0
        self.on_piece: Callable[[bytes], None] = lambda pcm: None
        self.changed = asyncio.Event()

    @property
    def sound(self) -> bytes:
        return b"".join(self.pieces)

    def on_sound(self, pcm: bytes) -> None:
        self.pieces.append(pcm)
        self.on_piece(pcm)
        self.changed.set()

    def on_digit(self, digit: str) -> None:
        self.digits.append(digit)
        self.changed.set()

    def on_media(self) -> None:
        self.media += 1
        self.changed.set()

    def on_hold(self, is_held: bool) -> None:
        self.holds.append(is_held)
        self.changed.set()

    def on_silence(self) -> None:
        self.silences += 1
        self.changed.set()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not what():
                self.changed.clear()
                await self.changed.wait()


class FarEnd(asyncio.DatagramProtocol):
    """A phone on loopback. ``packets`` are as they came, ``raw`` what could not be read."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.raw: list[bytes] = []
        self.changed = asyncio.Event()
        self.host = LOOPBACK
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str = LOOPBACK, port: int = 0) -> FarEnd:
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, (host, port), family=family
        )
        return self

    @property
    def port(self) -> int:
        assert self._transport is not None
        return self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.raw.append(data)
        if not 192 <= data[1] <= 223:
            self.packets.append(RtpPacket.parse(data))
        self.changed.set()

    def send(self, data: bytes, port: int, host: str = "") -> None:
        assert self._transport is not None
        self._transport.sendto(data, (host or self.host, port))

    def play(self, sounds: Iterable[RtpPacket], port: int) -> None:
        for packet in sounds:
            self.send(packet.serialize(), port)

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not what():
                self.changed.clear()
                await self.changed.wait()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
