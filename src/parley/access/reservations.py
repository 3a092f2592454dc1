"""What is set aside for a call or a request, from its begin to its settling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from parley.access.caller import Caller
from parley.core.errors import CallLimitReached, QuotaExceeded
from parley.store.records import Amounts, Limits, ReservationRecord, Settlement, Short

SLICE = Amounts(ms=60_000, tokens=4_000, characters=4_000)
"""How much a call has set aside beyond what it has used."""

RENEWED_EVERY_S = 15.0
NOTED_EVERY_S = 5.0
"""How much of a call a kill may lose."""

EXPIRES_S = 120.0
"""After so long without renewal the process is dead, and what it held is free again."""

REQUEST_EXPIRES_S = 900.0

_UNITS = {"ms": "minutes", "tokens": "tokens", "characters": "characters"}


@dataclass(eq=False)
class CallReservation:
    """A call's place. ``record`` is None for a tenant without limits: nothing is set aside.

    Every ``RENEWED_EVERY_S`` the ledger renews it, so that it always has a ``SLICE`` in hand.
    """

    id: str
    tenant: str
    made_at: datetime
    began_s: float
    leave: Callable[[CallReservation], None]
    tell: Callable[[CallReservation], None]
    wake: asyncio.Event
    record: ReservationRecord | None = None
    limits: Limits = field(default_factory=Limits)
    granted: Amounts = field(default_factory=Amounts)
    renewed_with: Amounts = field(default_factory=Amounts)
    charged: Amounts = field(default_factory=Amounts)
    noted: Amounts = field(default_factory=Amounts)
    is_settled: bool = False
    _end: Callable[[], None] | None = None
    is_spent: bool = False

    def when_spent(self, end: Callable[[], None]) -> None:
        """Call ``end`` once, as soon as the tenant's quota is used up."""
        self._end = end
        if self.is_spent:
            end()

    def note(self, *, tokens: int = 0, characters: int = 0) -> None:
        """Tell what the call has used besides time since the last word."""
        self.noted += Amounts(tokens=tokens, characters=characters)
        if not self.is_settled:
            self.tell(self)
        if self.record is not None and self.is_over():
            self.wake.set()

    def settle(self) -> None:
        """The call is over: charge what it used, give the rest back."""
        if not self.is_settled:
            self.is_settled = True
            self.leave(self)

    def used(self) -> Amounts:
        """What has not been charged yet."""
        elapsed_ms = round((time.monotonic() - self.began_s) * 1000)
        return replace(self.noted, ms=elapsed_ms) - self.charged

    def settlement(self) -> Settlement:
        """What would have to be charged if it were over now."""
        made_at = self.record.made_at if self.record else self.made_at
        return Settlement(self.id, self.tenant, made_at, self.used(), self.renewed_with)

    def wanted(self, now: datetime) -> ReservationRecord:
        """The reservation as it should be from now on."""
        assert self.record is not None
        return replace(
            self.record,
            amounts=self.used() + SLICE,
            expires_at=now + timedelta(seconds=EXPIRES_S),
        )

    def is_over(self) -> bool:
        """Whether it has used up all that it holds of something that is limited."""
        used = self.used()
        return any(
            getattr(used, measure) >= getattr(self.granted, measure)
            for measure in _limited(self.limits)
        )

    def left_s(self) -> float:
        """For how long what it holds of time will last; endless if time is not limited."""
        if self.record is None or "ms" not in _limited(self.limits):
            return float("inf")
        return (self.granted.ms - self.used().ms) / 1000

    def spend(self) -> None:
        """There is no more: the call has to end."""
        if not self.is_spent:
            self.is_spent = True
            if self._end:
                self._end()


@dataclass(eq=False)
class RequestReservation:
    """What is set aside for one request. What ``use`` is never told of is not charged."""

    id: str
    caller: Caller
    made_at: datetime
    is_held: bool = False
    used: Amounts = field(default_factory=Amounts)

    def use(self, *, audio_s: float = 0, tokens: int = 0, characters: int = 0) -> None:
        """Add to what the request has used so far."""
        self.used += Amounts(round(audio_s * 1000), tokens, characters)

    def settlement(self) -> Settlement:
        return Settlement(self.id, self.caller.tenant, self.made_at, self.used)


def refusal(tenant: str, short: Short) -> CallLimitReached | QuotaExceeded:
    """The error that tells what there is too little of."""
    if short.measure == "calls":
        return CallLimitReached(
            f"Tenant {tenant} has {short.limit} calls already, and may have no more at once.",
            hint="Try again when one has ended.",
            retry_after_s=5,
        )
    limit = short.limit // 60_000 if short.measure == "ms" else short.limit
    renews = {"day": "at midnight UTC", "month": "with the next month"}[short.period]
    return QuotaExceeded(
        f"Tenant {tenant} has too little left of its {limit} {_UNITS[short.measure]} of this "
        f"{short.period}.",
        hint=f"It is renewed {renews}; whoever runs the server can raise it.",
    )


def _limited(limits: Limits) -> list[str]:
    return [
        measure
        for measure in _UNITS
        if limits.of(measure, "day") is not None or limits.of(measure, "month") is not None
    ]


def is_measured(limits: Limits) -> bool:
    """Whether anything but the number of calls is limited."""
    return bool(_limited(limits))
