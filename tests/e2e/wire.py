"""The wire between a page and its server, which a test can cut and mend.

Everything that the page sends over WebRTC goes through a relay here, since the answer that it
gets names the relay and the offer that the server gets names nobody. A cut wire drops packets
without a word, and answers no request: what a train in a tunnel does.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from typing import Any, cast

from playwright.async_api import Page, Route

Address = tuple[str, int]

_CANDIDATES = re.compile(r"^a=(candidate:.*|end-of-candidates)\r\n", re.MULTILINE)
_HOST = re.compile(r"^a=(candidate:\S+ 1 udp \d+) ([\d.]+) (\d+) typ host", re.MULTILINE)


class Wire:
    """One page's wire. ``join`` it before the page calls, ``close`` it at the end."""

    def __init__(self) -> None:
        self.is_cut = False
        self._relays: list[_Relay] = []

    async def join(self, page: Page) -> None:
        await page.route("**/api/**", self._pass)

    def cut(self) -> None:
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        for relay in self._relays:
            relay.close()

    async def _pass(self, route: Route) -> None:
        request = route.request
        if self.is_cut:
            await route.abort("internetdisconnected")
        elif request.method == "PATCH":
            # The page's own candidates would lead around the relay.
            await route.fulfill(json={"status": "success"})
        elif request.method == "POST" and request.url.endswith("/api/offer"):
            await self._offer(route)
        else:
            await route.continue_()

    async def _offer(self, route: Route) -> None:
        offer: dict[str, Any] = json.loads(route.request.post_data or "")
        offer["sdp"] = _CANDIDATES.sub("", offer["sdp"])
        response = await route.fetch(post_data=json.dumps(offer))
        if not response.ok:
            await route.fulfill(response=response)
            return
        answer: dict[str, Any] = await response.json()
        found = _HOST.search(answer["sdp"])
        assert found is not None, answer["sdp"]
        relay = await self._open_relay((found[2], int(found[3])))
        host, port = relay.address
        only_relay = partial(_led_over, f"{found[1]} {host} {port} typ host")
        answer["sdp"] = _CANDIDATES.sub(only_relay, answer["sdp"])
        await route.fulfill(response=response, json=answer)

    async def _open_relay(self, server: Address) -> _Relay:
        relay = _Relay(self, server)
        self._relays.append(relay)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: relay, local_addr=(server[0], 0)
        )
        return relay


def _led_over(relay: str, line: re.Match[str]) -> str:
    """The line of the answer, with the relay where it told the server's address."""
    if _HOST.match(line[0]):
        return f"a={relay}\r\n"
    return "" if line[1].startswith("candidate:") else line[0]


class _Relay(asyncio.DatagramProtocol):
    """What the page takes for the server; to that it shows one socket for each of the page's."""

    def __init__(self, wire: Wire, server: Address) -> None:
        self.wire = wire
        self.server = server
        self.transport: asyncio.DatagramTransport | None = None
        self._branches: dict[Address, asyncio.Task[_Branch]] = {}

    @property
    def address(self) -> Address:
        assert self.transport is not None
        return self.transport.get_extra_info("sockname")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.wire.is_cut:
            return
        if addr not in self._branches:
            self._branches[addr] = asyncio.create_task(self._open_branch(addr))
        branch = self._branches[addr]
        # What comes before the branch is open is lost; connectivity checks are repeated.
        if branch.done():
            branch.result().send(data)

    async def _open_branch(self, page: Address) -> _Branch:
        branch = _Branch(self, page)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: branch, remote_addr=self.server
        )
        return branch

    def close(self) -> None:
        for opening in self._branches.values():
            opening.cancel()
            if opening.done() and not opening.cancelled():
                opening.result().close()
        if self.transport is not None:
            self.transport.close()


class _Branch(asyncio.DatagramProtocol):
    """The way between the server and one socket of the page."""

    def __init__(self, relay: _Relay, page: Address) -> None:
        self._relay = relay
        self._page = page
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self._relay.wire.is_cut and self._relay.transport is not None:
            self._relay.transport.sendto(data, self._page)

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
