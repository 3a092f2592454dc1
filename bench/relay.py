"""A bad network between two UDP sockets: datagrams are lost and delayed, each way, by chance."""

from __future__ import annotations

import asyncio
import random

Address = tuple[str, int]
HOST = "127.0.0.1"


class Relay:
    """Stands between one caller and its server; no privileges and no kernel module are needed.

    The caller sends to ``near_port``, and the server is told of ``far_port``. A datagram is lost
    with ``loss`` (0 to 1), else it comes up to ``jitter_ms`` late, so that some overtake others.
    """

    def __init__(self, loss: float, jitter_ms: float, *, seed: int = 1) -> None:
        self.passed = 0
        self.lost = 0
        self._loss = loss
        self._jitter_s = jitter_ms / 1000
        self._chance = random.Random(seed)
        self._near = _Side(self, is_far=False)
        self._far = _Side(self, is_far=True)

    async def __aenter__(self) -> Relay:
        loop = asyncio.get_running_loop()
        for side in (self._near, self._far):
            await loop.create_datagram_endpoint(lambda side=side: side, (HOST, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._near.close()
        self._far.close()

    @property
    def near_port(self) -> int:
        return self._near.port

    @property
    def far_port(self) -> int:
        return self._far.port

    def lead_to(self, server: Address) -> None:
        """Where the server takes its sound; until then nothing passes."""
        self._far.peer = server

    def forward(self, data: bytes, came_far: bool) -> None:
        if self._chance.random() < self._loss:
            self.lost += 1
            return
        self.passed += 1
        side = self._near if came_far else self._far
        delay_s = self._chance.uniform(0.0, self._jitter_s)
        asyncio.get_running_loop().call_later(delay_s, side.send, data)


class _Side(asyncio.DatagramProtocol):
    """One of the two sockets; the near one answers whoever spoke to it last."""

    def __init__(self, relay: Relay, *, is_far: bool) -> None:
        self.peer: Address | None = None
        self.port = 0
        self._relay = relay
        self._is_far = is_far
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self._is_far:
            self.peer = addr
        self._relay.forward(data, self._is_far)

    def error_received(self, exc: Exception) -> None:
        """Nobody is there any more."""

    def send(self, data: bytes) -> None:
        if self._transport is not None and self.peer is not None:
            self._transport.sendto(data, self.peer)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
