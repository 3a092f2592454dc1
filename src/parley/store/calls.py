"""Calls and what was said in them, each tenant's for itself."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from sqlalchemy import RowMapping, select, update

from parley.store.database import Database
from parley.store.records import CallRecord, TurnRecord
from parley.store.tables import CALLS, TURNS

PAGE = 100


class Calls:
    """The tables ``calls`` and ``turns``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def began(self, call: CallRecord) -> None:
        async with self._database.write() as connection:
            await connection.execute(CALLS.insert().values(**asdict(call)))

    async def ended(self, call_id: str, reason: str, at: datetime) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(CALLS).where(CALLS.c.id == call_id).values(ended_at=at, reason=reason)
            )

    async def said(self, turn: TurnRecord) -> None:
        async with self._database.write() as connection:
            await connection.execute(TURNS.insert().values(**asdict(turn)))

    async def of(
        self, tenant: str, *, before: datetime | None = None, limit: int = PAGE
    ) -> list[CallRecord]:
        """The tenant's calls, newest first; ``before`` is where the page before ended."""
        query = select(CALLS).where(CALLS.c.tenant == tenant)
        if before:
            query = query.where(CALLS.c.started_at < before)
        async with self._database.read() as connection:
            rows = await connection.execute(
                query.order_by(CALLS.c.started_at.desc(), CALLS.c.id).limit(limit)
            )
            return [_call(row) for row in rows.mappings()]

    async def get(self, tenant: str, call_id: str) -> CallRecord | None:
        """The call, if it is this tenant's."""
        query = select(CALLS).where(CALLS.c.id == call_id, CALLS.c.tenant == tenant)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            return _call(row) if row else None

    async def turns(self, tenant: str, call_id: str) -> list[TurnRecord]:
        """What was said in the call, in order, if it is this tenant's."""
        query = (
            select(TURNS)
            .join(CALLS, CALLS.c.id == TURNS.c.call_id)
            .where(TURNS.c.call_id == call_id, CALLS.c.tenant == tenant)
            .order_by(TURNS.c.number)
        )
        async with self._database.read() as connection:
            return [_turn(row) for row in (await connection.execute(query)).mappings()]


def _call(row: RowMapping) -> CallRecord:
    return CallRecord(**cast(dict[str, Any], row))


def _turn(row: RowMapping) -> TurnRecord:
    return TurnRecord(row["call_id"], row["role"], row["text"], row["said_at"])
