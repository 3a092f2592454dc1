"""Usage and reservations in the database: set aside before, charged after, never overshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.store.database import Database
from parley.store.records import (
    MEASURES,
    PERIODS,
    Amounts,
    Limits,
    ReservationRecord,
    Short,
)
from parley.store.tables import RESERVATIONS, USAGE
from parley.store.tenants import ensure_tenant, limits_of

NOTHING = Amounts()


class Usage:
    """The tables ``usage`` and ``reservations``.

    ``defaults`` are the limits of tenants that have none of their own. Each step is one
    transaction that nobody else's can overlap, in this process or another.
    """

    def __init__(self, database: Database, defaults: Limits) -> None:
        self._database = database
        self.defaults = defaults

    async def reserve(
        self, wanted: ReservationRecord, *, takes_less: bool = False
    ) -> Amounts | Short:
        """Set the amounts aside and say how much that was, or what they are short of.

        With ``takes_less`` whatever is left will do, as long as it is something.
        """
        async with self._database.write() as connection:
            await ensure_tenant(connection, wanted.tenant)
            limits = (await limits_of(connection, wanted.tenant)).over(self.defaults)
            await _sweep(connection, wanted.tenant, wanted.made_at)
            if wanted.kind == "call" and limits.calls is not None:
                live = select(func.count()).where(
                    RESERVATIONS.c.tenant == wanted.tenant, RESERVATIONS.c.kind == "call"
                )
                if (await connection.execute(live)).scalar_one() >= limits.calls:
                    return Short("calls", "now", limits.calls)
            granted = await _grant(connection, wanted, limits, takes_less)
            if isinstance(granted, Short):
                return granted
            day, month = periods(wanted.made_at)
            await connection.execute(
                RESERVATIONS.insert().values(
                    id=wanted.id,
                    tenant=wanted.tenant,
                    kind=wanted.kind,
                    day=day,
                    month=month,
                    made_at=wanted.made_at,
                    expires_at=wanted.expires_at,
                    **_columns(granted),
                    **_columns(Amounts(), "used_"),
                )
            )
            return granted

    async def renew(self, held: ReservationRecord, used: Amounts) -> Amounts | None:
        """Keep a reservation until its new ``expires_at`` and set ``amounts`` aside for it.

        ``used`` is charged should nobody settle it. Gives what it holds now, which may be less
        than was asked; None when it has expired and been swept.
        """
        async with self._database.write() as connection:
            limits = (await limits_of(connection, held.tenant)).over(self.defaults)
            found = await connection.execute(
                select(RESERVATIONS).where(RESERVATIONS.c.id == held.id)
            )
            if (row := found.mappings().one_or_none()) is None:
                return None
            granted = await _grant(connection, held, limits, takes_less=True)
            # What it holds stays its own, even if the limits have been lowered meanwhile.
            has = _amounts(row)
            granted = has if isinstance(granted, Short) else granted.at_least(has)
            await connection.execute(
                update(RESERVATIONS)
                .where(RESERVATIONS.c.id == held.id)
                .values(expires_at=held.expires_at, **_columns(granted), **_columns(used, "used_"))
            )
            return granted

    async def settle(
        self, held: ReservationRecord, used: Amounts, renewed_with: Amounts = NOTHING
    ) -> None:
        """Charge what was used and give the reservation back.

        ``renewed_with`` was ``used`` at the last renewal: it has been charged already should the
        reservation have expired meanwhile.
        """
        async with self._database.write() as connection:
            await limits_of(connection, held.tenant)
            done = await connection.execute(
                delete(RESERVATIONS).where(RESERVATIONS.c.id == held.id)
            )
            due = used if done.rowcount else used - renewed_with
            await _charge(connection, held.tenant, periods(held.made_at), due)

    async def charge(self, tenant: str, used: Amounts, at: datetime) -> None:
        """Charge what was used without a reservation."""
        async with self._database.write() as connection:
            await ensure_tenant(connection, tenant)
            await limits_of(connection, tenant)
            await _charge(connection, tenant, periods(at), used)

    async def of(self, tenant: str, at: datetime) -> tuple[Amounts, Amounts]:
        """What the tenant has used on that day, and in that month."""
        day, month = periods(at)
        async with self._database.read() as connection:
            return await _used(connection, tenant, day), await _used(connection, tenant, month)

    async def live(self, tenant: str) -> int:
        """How many reservations the tenant holds, those that have expired included."""
        query = select(func.count()).where(RESERVATIONS.c.tenant == tenant)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()


def periods(at: datetime) -> tuple[str, str]:
    """``("2026-11-21", "2026-11")``."""
    day = at.astimezone(UTC).date().isoformat()
    return day, day[:7]


async def _grant(
    connection: AsyncConnection, wanted: ReservationRecord, limits: Limits, takes_less: bool
) -> Amounts | Short:
    """How much of what is wanted the limits leave room for, other reservations counted."""
    granted = {measure: getattr(wanted.amounts, measure) for measure in MEASURES}
    for period, name in zip(PERIODS, periods(wanted.made_at), strict=True):
        if all(limits.of(measure, period) is None for measure in MEASURES):
            continue
        taken = await _used(connection, wanted.tenant, name)
        taken += await _reserved(connection, wanted, period, name)
        for measure in MEASURES:
            limit = limits.of(measure, period)
            if limit is None:
                continue
            left = limit - getattr(taken, measure)
            if takes_less and left < 1:
                return Short(measure, period, limit)
            if not takes_less and 0 < granted[measure] > left:
                return Short(measure, period, limit)
            granted[measure] = min(granted[measure], max(0, left))
    return Amounts(**granted)


async def _reserved(
    connection: AsyncConnection, wanted: ReservationRecord, period: str, name: str
) -> Amounts:
    """What others than this reservation hold in the period."""
    query = _sums(RESERVATIONS).where(
        RESERVATIONS.c.tenant == wanted.tenant,
        RESERVATIONS.c[period] == name,
        RESERVATIONS.c.id != wanted.id,
    )
    return _amounts((await connection.execute(query)).mappings().one())


async def _used(connection: AsyncConnection, tenant: str, name: str) -> Amounts:
    query = _sums(USAGE).where(USAGE.c.tenant == tenant, USAGE.c.period == name)
    return _amounts((await connection.execute(query)).mappings().one())


async def _sweep(connection: AsyncConnection, tenant: str, now: datetime) -> None:
    """Charge and remove the reservations of processes that died: they renew theirs no more."""
    expired = await connection.execute(
        delete(RESERVATIONS)
        .where(RESERVATIONS.c.tenant == tenant, RESERVATIONS.c.expires_at <= now)
        .returning(RESERVATIONS)
    )
    for values in expired.mappings().all():
        used = Amounts(*(values[f"used_{measure}"] for measure in MEASURES))
        await _charge(connection, tenant, (values["day"], values["month"]), used)


async def _charge(
    connection: AsyncConnection, tenant: str, names: Sequence[str], used: Amounts
) -> None:
    if not used:
        return
    for name in names:
        done = await connection.execute(
            update(USAGE)
            .where(USAGE.c.tenant == tenant, USAGE.c.period == name)
            .values({measure: USAGE.c[measure] + getattr(used, measure) for measure in MEASURES})
        )
        if not done.rowcount:
            await connection.execute(
                USAGE.insert().values(tenant=tenant, period=name, **_columns(used))
            )


def _sums(table: Any) -> Select[Any]:
    return select(*(func.coalesce(func.sum(table.c[name]), 0).label(name) for name in MEASURES))


def _amounts(row: RowMapping) -> Amounts:
    return Amounts(*(int(row[measure]) for measure in MEASURES))


def _columns(amounts: Amounts, prefix: str = "") -> dict[str, int]:
    return {prefix + name: getattr(amounts, name) for name in MEASURES}
