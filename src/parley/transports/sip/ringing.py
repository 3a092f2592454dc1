"""What answering a call needs of it, whoever brings it: our own endpoint or OpenSIPS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from parley.transports.sip.addresses import Carrier
from parley.transports.sip.ending import Ending
from parley.transports.sip.replies import Lines


class Answered(Protocol):
    """A call that was answered; ``SipDialog`` says what each means."""

    remote_sdp: str
    over: asyncio.Future[Ending]
    on_reinvite: Callable[[str], Awaitable[str]]
    on_answer: Callable[[str], Awaitable[None]]
    on_info: Callable[[str, str], Awaitable[None]]

    async def bye(self, reason: str = "") -> None: ...

    async def refer(self, target: str) -> int: ...

    async def send_info(self, content_type: str, body: str) -> int: ...

    async def reinvite(self, offer: Callable[[], str]) -> str: ...


class Ringing(Protocol):
    """A call that waits for its answer; ``IncomingInvite`` says what each means."""

    @property
    def offer(self) -> str: ...

    @property
    def caller(self) -> str: ...

    @property
    def callee_user(self) -> str: ...

    @property
    def callee_host(self) -> str: ...

    @property
    def dialled_user(self) -> str: ...

    @property
    def dialled_host(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def is_trusted(self) -> bool: ...

    @property
    def source(self) -> tuple[str, int]: ...

    @property
    def own_host(self) -> str: ...

    @property
    def carrier(self) -> Carrier: ...

    def ring(self) -> None: ...

    async def answer(self, sdp: str, prepare: Callable[[Answered], None]) -> Answered: ...

    def reject(
        self, status: int, reason: str = "", retry_after_s: float = 0, more: Lines = ()
    ) -> None: ...
