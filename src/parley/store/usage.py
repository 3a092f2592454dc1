"""Usage and reservations in the database: set aside before, charged after, never overshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import RowMapping, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.store.charges import charged_for, note_charged
from parley.store.database import Database
from parley.store.records import (
    MEASURES,
    PERIODS,
    Amounts,
    Limits,
    ReservationRecord,
    Settlement,
    Short,
)
from parley.store.tables import CHARGES, RESERVATIONS, USAGE
from parley.store.tenants import ensure_tenant, limits_of

NOTHING = Amounts()


class Usage:
    """The tables ``usage``, ``reservations`` and ``charges``.

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
            own = await limits_of(connection, wanted.tenant)
            if own is None:
                await ensure_tenant(connection, wanted.tenant)
            limits = (own or Limits()).over(self.defaults)
            others = await _others(connection, wanted)
            may_call = limits.calls is None or others.calls < limits.calls
            if wanted.kind == "call" and not may_call:
                return Short("calls", "now", limits.calls or 0)
            granted = await _grant(connection, wanted, limits, others, takes_less)
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
                    **_columns(NOTHING, "used_"),
                )
            )
            return granted

    async def renew(self, held: ReservationRecord, used: Amounts) -> Amounts | None:
        """Keep a reservation until its new ``expires_at`` and set ``amounts`` aside for it.

        ``used`` is charged should nobody settle it. Gives what it holds now, which may be less
        than was asked; None when it has expired and been swept.
        """
        async with self._database.write() as connection:
            limits = (await limits_of(connection, held.tenant) or Limits()).over(self.defaults)
            found = await connection.execute(
                select(RESERVATIONS).where(RESERVATIONS.c.id == held.id)
            )
            if (row := found.mappings().one_or_none()) is None:
                return None
            others = await _others(connection, held)
            granted = await _grant(connection, held, limits, others, takes_less=True)
            # What it holds stays its own, even if the limits have been lowered meanwhile.
            has = _amounts(row)
            granted = has if isinstance(granted, Short) else granted.at_least(has)
            await connection.execute(
                update(RESERVATIONS)
                .where(RESERVATIONS.c.id == held.id)
                .values(expires_at=held.expires_at, **_columns(granted), **_columns(used, "used_"))
            )
            return granted

    async def settle(self, due: Settlement) -> None:
        """Charge what was used and has not been charged, and give back what was set aside."""
        async with self._database.write() as connection:
            await ensure_tenant(connection, due.tenant)
            await limits_of(connection, due.tenant)
            held = delete(RESERVATIONS).where(RESERVATIONS.c.id == due.id)
            was_held = (await connection.execute(held)).rowcount > 0
            charged = await charged_for(connection, due.id)
            if charged is None:
                charged = NOTHING if was_held else due.renewed_with
            used = due.used.at_least(charged)
            await _charge(connection, due.tenant, periods(due.made_at), used - charged)
            await note_charged(connection, due.id, used)

    async def forget_charges(self, before: datetime) -> None:
        """Of what was charged so long ago nobody tells again."""
        async with self._database.write() as connection:
            await connection.execute(delete(CHARGES).where(CHARGES.c.charged_at < before))

    async def of(self, tenant: str, at: datetime) -> tuple[Amounts, Amounts]:
        """What the tenant has used on that day, and in that month."""
        day, month = periods(at)
        async with self._database.read() as connection:
            used = await _used(connection, tenant, (day, month))
            return used[day], used[month]

    async def live(self, tenant: str) -> int:
        """How many reservations the tenant holds, those that have expired included."""
        query = select(func.count()).where(RESERVATIONS.c.tenant == tenant)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()


def periods(at: datetime) -> tuple[str, str]:
    """``("2026-11-21", "2026-11")``."""
    day = at.astimezone(UTC).date().isoformat()
    return day, day[:7]


@dataclass(frozen=True, slots=True)
class _Others:
    """What the tenant's other reservations hold, and how many of them are calls."""

    calls: int
    expired: int
    held: dict[str, Amounts]


async def _others(connection: AsyncConnection, wanted: ReservationRecord) -> _Others:
    """The others that are alive; those of processes that died are charged and removed first."""
    found = await _summed(connection, wanted)
    if found.expired:
        await _sweep(connection, wanted)
        found = await _summed(connection, wanted)
    return found


async def _summed(connection: AsyncConnection, wanted: ReservationRecord) -> _Others:
    table = RESERVATIONS.c
    names = dict(zip(PERIODS, periods(wanted.made_at), strict=True))
    sums = [
        func.coalesce(func.sum(case((table[period] == name, table[measure]), else_=0)), 0)
        for period, name in names.items()
        for measure in MEASURES
    ]
    counts = [
        func.count(case((table.kind == "call", 1))),
        func.count(case((table.expires_at <= wanted.made_at, 1))),
    ]
    query = select(*counts, *sums).where(table.tenant == wanted.tenant, table.id != wanted.id)
    calls, expired, *held = [int(value) for value in (await connection.execute(query)).one()]
    width = len(MEASURES)
    return _Others(
        calls,
        expired,
        {period: Amounts(*held[n * width : (n + 1) * width]) for n, period in enumerate(names)},
    )


async def _sweep(connection: AsyncConnection, wanted: ReservationRecord) -> None:
    """Charge and remove reservations that were renewed no more: their processes are dead."""
    expired = await connection.execute(
        delete(RESERVATIONS)
        .where(
            RESERVATIONS.c.tenant == wanted.tenant,
            RESERVATIONS.c.expires_at <= wanted.made_at,
            RESERVATIONS.c.id != wanted.id,
        )
        .returning(RESERVATIONS)
    )
    for row in expired.mappings().all():
        used = Amounts(*(row[f"used_{measure}"] for measure in MEASURES))
        await _charge(connection, wanted.tenant, (row["day"], row["month"]), used)
        await note_charged(connection, row["id"], used)


async def _grant(
    connection: AsyncConnection,
    wanted: ReservationRecord,
    limits: Limits,
    others: _Others,
    takes_less: bool,
) -> Amounts | Short:
    """How much of what is wanted the limits leave room for, other reservations counted."""
    granted = {measure: getattr(wanted.amounts, measure) for measure in MEASURES}
    names = periods(wanted.made_at)
    used = await _used(connection, wanted.tenant, names)
    for period, name in zip(PERIODS, names, strict=True):
        taken = used[name] + others.held[period]
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


async def _used(
    connection: AsyncConnection, tenant: str, names: Sequence[str]
) -> dict[str, Amounts]:
    """What has been charged in each of the periods."""
    rows = await connection.execute(
        select(USAGE).where(USAGE.c.tenant == tenant, USAGE.c.period.in_(names))
    )
    found = {row["period"]: _amounts(row) for row in rows.mappings()}
    return {name: found.get(name, NOTHING) for name in names}


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


def _amounts(row: RowMapping) -> Amounts:
    return Amounts(*(int(row[measure]) for measure in MEASURES))


def _columns(amounts: Amounts, prefix: str = "") -> dict[str, int]:
    return {prefix + name: getattr(amounts, name) for name in MEASURES}
