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
    RENEWED_EVERY_S,
    REQUEST_EXPIRES_S,
    SLICE,
    CallReservation,
    RequestReservation,
    is_measured,
    refusal,
)
from parley.access.ring import KeyRing, utc_now
from parley.access.spool import Settlement, Spool
from parley.core.call import CallInfo
from parley.core.errors import ParleyError
from parley.core.log import get_logger
from parley.core.tasks import begin, finished
from parley.store.records import Amounts, Limits, ReservationKind, ReservationRecord, Short

if TYPE_CHECKING:
    from parley.store.usage import Usage

log = get_logger(__name__)

RETRY_S = 2.0
_SHORTEST_PAUSE_S = 0.01


class Ledger:
    """Lets calls and requests in as far as their tenants' quotas reach.

    One task of its own settles and renews, so that whoever ends a request or a call never waits
    and can't be cancelled in the middle. Use it as an async context manager: leaving it settles
    what is due, and keeps in the spool what can't be settled.
    """

    def __init__(
        self,
        usage: Usage,
        ring: KeyRing,
        rates: Rates,
        spool: Spool,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._usage = usage
        self._ring = ring
        self._rates = rates
        self._spool = spool
        self._now = now
        self._held: set[CallReservation] = set()
        self._due: deque[Settlement] = deque()
        self._spent: deque[RequestReservation] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_closing = False
        self._is_ill = False
        self._renew_at_s = 0.0
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ledger:
        self._due.extend(self._spool.take())
        self._renew_at_s = time.monotonic() + RENEWED_EVERY_S
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
        try:
            if self._working:
                await finished(self._working)
        finally:
            self._spool.keep(self._due)

    async def reserve(self, call: CallInfo) -> CallReservation:
        """A place for the call. Raises ``QuotaExceeded`` or ``CallLimitReached``."""
        limits = await self._limits(call.tenant)
        now = self._now()
        held = CallReservation(
            tenant=call.tenant,
            made_at=now,
            began_s=time.monotonic(),
            leave=self._leave,
            wake=self._wake,
            limits=limits,
        )
        if limits:
            held.record = _record("call", call.tenant, now, EXPIRES_S, SLICE)
            granted = await self._usage.reserve(held.record, takes_less=True)
            if isinstance(granted, Short):
                raise refusal(call.tenant, granted)
            held.granted = granted
        self._held.add(held)
        self._wake.set()
        return held

    @asynccontextmanager
    async def metered(self, caller: Caller, wanted: Amounts) -> AsyncGenerator[RequestReservation]:
        """A request that may use up to ``wanted``; what it does use is charged at the end.

        Raises ``QuotaExceeded`` when that much is not left.
        """
        reservation = RequestReservation(caller, self._now())
        if is_measured(await self._limits(caller.tenant)):
            reservation.record = _record(
                "request", caller.tenant, reservation.made_at, REQUEST_EXPIRES_S, wanted
            )
            granted = await self._usage.reserve(reservation.record)
            if isinstance(granted, Short):
                raise refusal(caller.tenant, granted)
        try:
            yield reservation
        finally:
            if reservation.record or reservation.used:
                self._due.append(
                    Settlement(
                        caller.tenant,
                        reservation.made_at,
                        reservation.used,
                        reservation.record.id if reservation.record else "",
                    )
                )
                self._spent.append(reservation)
                self._idle.clear()
                self._wake.set()

    async def settled(self) -> None:
        """Wait until everything that is due now has been charged, or can't be."""
        await self._idle.wait()

    async def _limits(self, tenant: str) -> Limits:
        await self._ring.freshen()
        return self._ring.limits_of(tenant).over(self._usage.defaults)

    def _leave(self, held: CallReservation) -> None:
        self._held.discard(held)
        record = held.record
        self._due.append(
            Settlement(
                held.tenant,
                record.made_at if record else held.made_at,
                held.used(),
                record.id if record else "",
                held.renewed_with,
            )
        )
        self._idle.clear()
        self._wake.set()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            is_last = self._is_closing
            self._is_ill = False
            await self._count_rates()
            await self._settle_due()
            await self._renew_due()
            if self._is_ill or not (self._due or self._spent):
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

    async def _settle_due(self) -> None:
        while self._due:
            due = self._due[0]
            try:
                await self._settle(due)
            except ParleyError as error:
                self._is_ill = True
                log.warning("usage_not_settled", waiting=len(self._due), error=str(error))
                return
            self._due.popleft()

    async def _settle(self, due: Settlement) -> None:
        if not due.reservation_id:
            await self._usage.charge(due.tenant, due.used, due.made_at)
            return
        # What it had set aside is of no interest any more: only who, when and which.
        held = ReservationRecord(
            due.reservation_id, due.tenant, "call", due.made_at, due.made_at, Amounts()
        )
        await self._usage.settle(held, due.used, due.renewed_with)

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
        held.charged += held.renewed_with
        held.renewed_with = Amounts()
        now = self._now()
        held.record = replace(held.wanted(now), id=_new_id(), made_at=now)
        granted = await self._usage.reserve(held.record, takes_less=True)
        held.granted = Amounts() if isinstance(granted, Short) else granted

    def _pause_s(self) -> float:
        """How long there is nothing to do."""
        pause_s = self._renew_at_s - time.monotonic()
        for held in self._held:
            if not held.is_spent:
                pause_s = min(pause_s, held.left_s())
        if self._is_ill:
            return RETRY_S
        return max(_SHORTEST_PAUSE_S, pause_s)


def _record(
    kind: ReservationKind, tenant: str, now: datetime, expires_s: float, amounts: Amounts
) -> ReservationRecord:
    return ReservationRecord(
        id=_new_id(),
        tenant=tenant,
        kind=kind,
        made_at=now,
        expires_at=now + timedelta(seconds=expires_s),
        amounts=amounts,
    )


def _new_id() -> str:
    return f"res_{secrets.token_hex(12)}"
