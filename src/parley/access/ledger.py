"""Quotas: reserved before, settled after, for calls and for requests."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from parley.access.caller import Caller
from parley.access.rates import Rates
from parley.access.reservations import (
    EXPIRES_S,
    NOTED_EVERY_S,
    RENEWED_EVERY_S,
    REQUEST_EXPIRES_S,
    SLICE,
    CallReservation,
    RequestReservation,
    is_measured,
    refusal,
)
from parley.access.ring import KeyRing, utc_now
from parley.core.call import CallInfo
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, finished
from parley.store.records import (
    Amounts,
    Limits,
    ReservationKind,
    ReservationRecord,
    Short,
)
from parley.store.usage_journal import SoFar, UsageJournal

if TYPE_CHECKING:
    from parley.store.usage import Usage

log = get_logger(__name__)

RETRY_S = 2.0
_SHORTEST_PAUSE_S = 0.01


class Ledger:
    """Lets calls and requests in as far as their tenants' quotas reach.

    What is used goes to a journal, so that whoever ends a request or a call never waits and can't
    be cancelled in the middle, and a kill loses little. One task of its own renews and notes how
    far calls are. Use it as an async context manager: leaving it settles what is still live.
    """

    def __init__(
        self,
        usage: Usage,
        ring: KeyRing,
        rates: Rates,
        journal: UsageJournal,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._usage = usage
        self._ring = ring
        self._rates = rates
        self._journal = journal
        self._now = now
        self._held: set[CallReservation] = set()
        self._spent: deque[RequestReservation] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_closing = False
        self._is_ill = False
        self._renew_at_s = 0.0
        self._note_at_s = 0.0
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ledger:
        self._renew_at_s = time.monotonic() + RENEWED_EVERY_S
        self._note_at_s = time.monotonic() + NOTED_EVERY_S
        self._working = begin(self._work(), "ledger")
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for held in list(self._held):
            held.settle()
        self._is_closing = True
        self._wake.set()
        if self._working:
            await finished(self._working)

    async def reserve(self, call: CallInfo) -> CallReservation:
        """A place for the call. Raises ``QuotaExceeded`` or ``CallLimitReached``."""
        limits = await self._limits(call.tenant)
        now = self._now()
        held = CallReservation(
            id=_new_id(),
            tenant=call.tenant,
            made_at=now,
            began_s=time.monotonic(),
            leave=self._leave,
            tell=self._tell,
            wake=self._wake,
            limits=limits,
        )
        if limits:
            held.record = _record(held.id, "call", call.tenant, now, EXPIRES_S, SLICE)
            granted = await self._usage.reserve(held.record, takes_less=True)
            if isinstance(granted, Short):
                raise refusal(call.tenant, granted)
            held.granted = granted
        self._held.add(held)
        self._tell(held)
        self._wake.set()
        return held

    @asynccontextmanager
    async def metered(self, caller: Caller, wanted: Amounts) -> AsyncGenerator[RequestReservation]:
        """A request that may use up to ``wanted``; what it does use is charged at the end.

        Raises ``QuotaExceeded`` when that much is not left.
        """
        reservation = RequestReservation(_new_id(), caller, self._now())
        if is_measured(await self._limits(caller.tenant)):
            wish = _record(
                reservation.id,
                "request",
                caller.tenant,
                reservation.made_at,
                REQUEST_EXPIRES_S,
                wanted,
            )
            granted = await self._usage.reserve(wish)
            if isinstance(granted, Short):
                raise refusal(caller.tenant, granted)
            reservation.is_held = True
            self._journal.note_so_far([SoFar.of(reservation.settlement())])
        try:
            yield reservation
        finally:
            if reservation.is_held or reservation.used:
                self._journal.note(reservation.settlement())
                self._spent.append(reservation)
                self._idle.clear()
                self._wake.set()

    async def settled(self) -> None:
        """Wait until everything that is due now has been charged, or can't be."""
        await self._idle.wait()
        await self._journal.settled()

    async def _limits(self, tenant: str) -> Limits:
        await self._ring.freshen()
        return self._ring.limits_of(tenant).over(self._usage.defaults)

    def _leave(self, held: CallReservation) -> None:
        self._held.discard(held)
        self._journal.note(held.settlement())

    def _tell(self, held: CallReservation) -> None:
        self._journal.note_so_far([SoFar.of(held.settlement())])

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            is_last = self._is_closing
            self._is_ill = False
            await self._count_rates()
            self._note_due()
            await self._renew_due()
            if not self._spent:
                self._idle.set()
            if is_last:
                return
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _count_rates(self) -> None:
        while self._spent:
            done = self._spent.popleft()
            used = done.used
            await self._rates.spend(done.caller, audio_s=used.ms / 1000, tokens=used.tokens)

    def _note_due(self) -> None:
        if time.monotonic() >= self._note_at_s:
            self._note_at_s = time.monotonic() + NOTED_EVERY_S
            self._journal.note_so_far([SoFar.of(held.settlement()) for held in self._held])

    async def _renew_due(self) -> None:
        is_time = time.monotonic() >= self._renew_at_s
        if is_time:
            self._renew_at_s = time.monotonic() + RENEWED_EVERY_S
        for held in list(self._held):
            if held.record is None or held.is_settled:
                continue
            if is_time or (held.is_over() and not held.is_spent):
                await self._renew(held)

    async def _renew(self, held: CallReservation) -> None:
        try:
            await self._renew_or_reserve(held)
        except ParleyError as error:
            self._is_ill = True
            log.warning("reservation_not_renewed", error=str(error))
            return
        # Whoever was settled meanwhile has left with what it held.
        if held.is_over() and not held.is_settled:
            held.spend()

    async def _renew_or_reserve(self, held: CallReservation) -> None:
        used = held.used()
        held.record = held.wanted(self._now())
        granted = await self._usage.renew(held.record, used)
        if granted is not None:
            held.granted, held.renewed_with = granted, used
        elif not held.is_settled:
            await self._reserve_again(held)

    async def _reserve_again(self, held: CallReservation) -> None:
        """It had expired while the database was away, and what was known then is charged."""
        self._journal.note(replace(held.settlement(), used=held.renewed_with))
        held.charged += held.renewed_with
        held.renewed_with = Amounts()
        now = self._now()
        held.id = _new_id()
        held.record = replace(held.wanted(now), id=held.id, made_at=now)
        self._tell(held)
        granted = await self._usage.reserve(held.record, takes_less=True)
        held.granted = Amounts() if isinstance(granted, Short) else granted

    def _pause_s(self) -> float:
        """How long there is nothing to do."""
        now_s = time.monotonic()
        pause_s = self._renew_at_s - now_s
        if self._held:
            pause_s = min(pause_s, self._note_at_s - now_s)
        for held in self._held:
            if not held.is_spent:
                pause_s = min(pause_s, held.left_s())
        if self._is_ill:
            return RETRY_S
        return max(_SHORTEST_PAUSE_S, pause_s)


def _record(
    reservation_id: str,
    kind: ReservationKind,
    tenant: str,
    now: datetime,
    expires_s: float,
    amounts: Amounts,
) -> ReservationRecord:
    return ReservationRecord(
        id=reservation_id,
        tenant=tenant,
        kind=kind,
        made_at=now,
        expires_at=now + timedelta(seconds=expires_s),
        amounts=amounts,
    )


def _new_id() -> str:
    return f"res_{secrets.token_hex(12)}"
