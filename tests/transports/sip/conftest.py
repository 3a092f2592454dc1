"""Endpoints that clean up after themselves, and somebody to answer at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from parley.transports.sip.call import SipDialog
from parley.transports.sip.endpoint import SipEndpoint
from parley.transports.sip.incoming import IncomingInvite
from parley.transports.sip.options import SipOptions
from tests.transports.sip.phone import SDP, Phone, udp_phone

T1_S = 0.02
"""Every time of the protocol follows from it: a dead peer is given up after 1.3 s."""


class Desk:
    """Takes every call with the same description, and remembers what it saw."""

    def __init__(self) -> None:
        self.invites: list[IncomingInvite] = []
        self.calls: asyncio.Queue[SipDialog] = asyncio.Queue()
        self.offers: list[str] = []
        self.infos: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.answer = SDP
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def take(self, invite: IncomingInvite) -> None:
        self.invites.append(invite)
        invite.ring()
        if not self.is_open.is_set():
            opened = asyncio.ensure_future(self.is_open.wait())
            try:
                await asyncio.wait([opened, invite.cancelled], return_when=asyncio.FIRST_COMPLETED)
            finally:
                opened.cancel()
            if invite.cancelled.done():
                return
        call = await invite.answer(self.answer, self.prepare)
        self.calls.put_nowait(call)

    async def call(self) -> SipDialog:
        """The next call that is answered."""
        async with asyncio.timeout(10):
            return await self.calls.get()

    def prepare(self, call: SipDialog) -> None:
        call.on_reinvite = self.change
        call.on_info = self.hear

    async def change(self, offer: str) -> str:
        self.offers.append(offer)
        return self.answer

    async def hear(self, kind: str, body: str) -> None:
        self.infos.put_nowait((kind, body))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def opened(desk: Desk) -> AsyncIterator[Callable[..., Any]]:
    """Opens endpoints on free ports; none may leave a task behind."""
    tasks = asyncio.all_tasks()
    async with AsyncExitStack() as stack:

        async def open_one(on_invite: Any = None, **options: Any) -> SipEndpoint:
            chosen = SipOptions(**{"port": 0, "t1_s": T1_S, "closing_s": 1.0, **options})
            endpoint = SipEndpoint(chosen, on_invite or desk.take)
            return await stack.enter_async_context(endpoint)

        yield open_one
    left = [t for t in asyncio.all_tasks() - tasks if t is not asyncio.current_task()]
    assert not left, left


@pytest.fixture
async def endpoint(opened: Callable[..., Any]) -> SipEndpoint:
    return await opened()


@pytest.fixture
async def phone(endpoint: SipEndpoint) -> AsyncIterator[Phone]:
    async with udp_phone(endpoint.port) as phone:
        yield phone
