"""Calls and what was said in them, each tenant's for itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from sqlalchemy import RowMapping, Table, and_, or_, select, update

from parley.store.database import Database
from parley.store.records import CallRecord, ToolUseRecord, TurnRecord
from parley.store.tables import CALLS, TOOL_USES, TURNS

PAGE = 100


class Calls:
    """The tables ``calls``, ``turns`` and ``tool_uses``."""

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
            stages = json.dumps(dict(turn.stages)) if turn.stages else None
            await connection.execute(TURNS.insert().values(**{**asdict(turn), "stages": stages}))

    async def used(self, use: ToolUseRecord) -> None:
        async with self._database.write() as connection:
            await connection.execute(TOOL_USES.insert().values(**asdict(use)))

    async def of(
        self, tenant: str, *, before: CallRecord | None = None, limit: int = PAGE
    ) -> list[CallRecord]:
        """The tenant's calls, newest first; ``before`` is the last of the page before."""
        query = select(CALLS).where(CALLS.c.tenant == tenant)
        if before:
            at_once = and_(CALLS.c.started_at == before.started_at, CALLS.c.id > before.id)
            query = query.where(or_(CALLS.c.started_at < before.started_at, at_once))
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
        return [_turn(row) for row in await self._rows(TURNS, tenant, call_id)]

    async def tool_uses(self, tenant: str, call_id: str) -> list[ToolUseRecord]:
        """The tools that were used in the call, in order, if it is this tenant's."""
        return [_tool_use(row) for row in await self._rows(TOOL_USES, tenant, call_id)]

    async def _rows(self, table: Table, tenant: str, call_id: str) -> Sequence[RowMapping]:
        """What a table has of the call, in order, if it is this tenant's."""
        query = (
            select(table)
            .join(CALLS, CALLS.c.id == table.c.call_id)
            .where(table.c.call_id == call_id, CALLS.c.tenant == tenant)
            .order_by(table.c.number)
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).mappings().all()


def _call(row: RowMapping) -> CallRecord:
    return CallRecord(**cast(dict[str, Any], row))


def _turn(row: RowMapping) -> TurnRecord:
    return TurnRecord(
        row["call_id"],
        row["role"],
        row["text"],
        row["said_at"],
        json.loads(row["stages"] or "{}"),
        bool(row["interrupted"]),
    )


def _tool_use(row: RowMapping) -> ToolUseRecord:
    return ToolUseRecord(
        row["call_id"], row["tool"], row["after_ms"], row["error"], row["ended_at"]
    )
