"""Characters and minutes are reserved before sound is made or heard, and settled after."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

from fastapi import Request

from parley.access.caller import Caller
from parley.access.reservations import RequestReservation
from parley.store.records import Amounts

T = TypeVar("T")


class AudioMeter(Protocol):
    """Keeps a tenant within its characters and minutes."""

    def metered(
        self, request: Request, wanted: Amounts, used: Callable[[], Amounts]
    ) -> AbstractAsyncContextManager[None]:
        """Entering reserves, and raises for a caller that has used up what it has; leaving
        settles what was ``used``, also when it broke off."""
        ...


class FreeSound:
    """Nobody counts."""

    @asynccontextmanager
    async def metered(
        self, request: Request, wanted: Amounts, used: Callable[[], Amounts]
    ) -> AsyncGenerator[None]:
        yield


class RequestLedger(Protocol):
    """What the access ledger does for one request."""

    def metered(
        self, caller: Caller, wanted: Amounts
    ) -> AbstractAsyncContextManager[RequestReservation]: ...


class LedgerAudioMeter:
    """Has the access ledger count. The guard has left ``request.state.caller``."""

    def __init__(self, ledger: RequestLedger) -> None:
        self._ledger = ledger

    @asynccontextmanager
    async def metered(
        self, request: Request, wanted: Amounts, used: Callable[[], Amounts]
    ) -> AsyncGenerator[None]:
        async with self._ledger.metered(request.state.caller, wanted) as held:
            try:
                yield
            finally:
                spent = used()
                held.use(audio_s=spent.ms / 1000, characters=spent.characters)


async def counted(
    pieces: AsyncGenerator[T], count: AbstractAsyncContextManager[None]
) -> AsyncGenerator[T]:
    """The pieces, made while the meter runs."""
    async with count:
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()
