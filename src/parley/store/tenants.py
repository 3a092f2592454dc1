"""Tenants in the database: who owns keys, calls and quotas."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, Select, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.store.database import Database
from parley.store.records import Limits, TenantRecord
from parley.store.signing_secrets import new_secret
from parley.store.tables import TENANTS

_LIMITS = tuple(field.name for field in fields(Limits))


class Tenants:
    """The table ``tenants``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str) -> None:
        """Make the tenant; one that exists stays as it is."""
        async with self._database.read() as connection:
            if await _exists(connection, name):
                return
        async with self._database.write() as connection:
            await ensure_tenant(connection, name)

    async def all(self) -> list[TenantRecord]:
        """Every tenant, by name."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(TENANTS).order_by(TENANTS.c.name))
            return [_record(row) for row in rows.mappings()]

    async def set_limits(self, name: str, limits: Limits) -> bool:
        """Replace the tenant's own limits; False when there is no such tenant."""
        values = {**asdict(limits), "changed_at": datetime.now(UTC)}
        async with self._database.write() as connection:
            done = await connection.execute(
                update(TENANTS).where(TENANTS.c.name == name).values(**values)
            )
            return done.rowcount > 0

    async def secret_of(self, name: str) -> str:
        """What the tenant signs with, made when it is asked for first, with the tenant itself."""
        async with self._database.read() as connection:
            if kept := (await connection.execute(_secret(name))).scalar():
                return str(kept)
        async with self._database.write() as connection:
            await ensure_tenant(connection, name)
            # Another server of the same database may have made one just now.
            kept = (await connection.execute(_secret(name).with_for_update())).scalar()
            return str(kept) if kept else await _give_secret(connection, name)

    async def rotate_secret(self, name: str) -> str:
        """A new one in the place of the old one."""
        async with self._database.write() as connection:
            await ensure_tenant(connection, name)
            return await _give_secret(connection, name)


async def ensure_tenant(connection: AsyncConnection, name: str) -> None:
    """Make the tenant within a transaction that writes."""
    if await _exists(connection, name):
        return
    now = datetime.now(UTC)
    try:
        async with connection.begin_nested():
            await connection.execute(
                TENANTS.insert().values(name=name, created_at=now, changed_at=now)
            )
    except IntegrityError:
        # Another server of the same database made it just now: that is as good.
        return


async def limits_of(connection: AsyncConnection, name: str) -> Limits | None:
    """The tenant's own limits, None without a tenant; its row is held until the end."""
    query = select(TENANTS).where(TENANTS.c.name == name).with_for_update()
    row = (await connection.execute(query)).mappings().one_or_none()
    return _record(row).limits if row else None


def _secret(name: str) -> Select[Any]:
    return select(TENANTS.c.signing_secret).where(TENANTS.c.name == name)


async def _give_secret(connection: AsyncConnection, name: str) -> str:
    secret = new_secret()
    query = update(TENANTS).where(TENANTS.c.name == name)
    await connection.execute(query.values(signing_secret=secret, changed_at=datetime.now(UTC)))
    return secret


def newest_change() -> Select[int, Any]:
    return select(func.count(), func.max(TENANTS.c.changed_at))


async def _exists(connection: AsyncConnection, name: str) -> bool:
    found = await connection.execute(select(TENANTS.c.name).where(TENANTS.c.name == name))
    return found.first() is not None


def _record(values: RowMapping) -> TenantRecord:
    return TenantRecord(
        name=values["name"],
        created_at=values["created_at"],
        limits=Limits(**{name: values[name] for name in _LIMITS}),
    )
