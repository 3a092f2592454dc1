"""Keys in the database: only what is shown of each, and a hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import RowMapping, Select, delete, func, or_, select, update

from parley.store import tenants
from parley.store.database import Database
from parley.store.records import KeyRecord
from parley.store.tables import KEYS


class Keys:
    """The table ``keys``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: KeyRecord) -> bool:
        """Keep a new key, and make its tenant if need be; False when its prefix is taken."""
        values = {
            **asdict(key),
            "scopes": ",".join(key.scopes),
            "changed_at": datetime.now(UTC),
        }
        taken = select(KEYS.c.id).where(KEYS.c.prefix == key.prefix)
        async with self._database.write() as connection:
            if (await connection.execute(taken)).first() is not None:
                return False
            await tenants.ensure_tenant(connection, key.tenant)
            await connection.execute(KEYS.insert().values(**values))
        return True

    async def all(self, tenant: str = "") -> list[KeyRecord]:
        """Every key, or every key of one tenant, oldest first."""
        query = select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)
        return await self._found(query.where(KEYS.c.tenant == tenant) if tenant else query)

    async def named(self, name: str) -> list[KeyRecord]:
        """The keys with that id, prefix or name."""
        return await self._found(
            select(KEYS).where(or_(KEYS.c.id == name, KEYS.c.prefix == name, KEYS.c.name == name))
        )

    async def newest_change(self) -> str:
        """A word that differs whenever keys or tenants have been changed by anybody."""
        keys = select(func.count(), func.max(KEYS.c.changed_at))
        async with self._database.read() as connection:
            rows = [
                (await connection.execute(query)).one() for query in (keys, tenants.newest_change())
            ]
        return repr([tuple(row) for row in rows])

    async def revoke(self, key_id: str, at: datetime) -> None:
        """The key is good until ``at``, and never again."""
        await self._change(key_id, revoked_at=at)

    async def expire(self, key_id: str, at: datetime) -> None:
        """The key is good until ``at``."""
        await self._change(key_id, expires_at=at)

    async def forget(self, key_id: str) -> None:
        """Remove the key as if it had never been."""
        async with self._database.write() as connection:
            await connection.execute(delete(KEYS).where(KEYS.c.id == key_id))

    async def used(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        async with self._database.write() as connection:
            for key_id, at in uses.items():
                await connection.execute(
                    update(KEYS).where(KEYS.c.id == key_id).values(last_used_at=at)
                )

    async def _change(self, key_id: str, **values: datetime) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(KEYS)
                .where(KEYS.c.id == key_id)
                .values(**values, changed_at=datetime.now(UTC))
            )

    async def _found(self, query: Select[Any]) -> list[KeyRecord]:
        async with self._database.read() as connection:
            return [_record(row) for row in (await connection.execute(query)).mappings()]


def _record(row: RowMapping) -> KeyRecord:
    values = dict(cast(Mapping[str, Any], row))
    del values["changed_at"]
    values["scopes"] = tuple(cast(str, values["scopes"]).split(",")) if values["scopes"] else ()
    return KeyRecord(**values)
