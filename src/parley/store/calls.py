"""Calls and what was said in them, each tenant's for itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.store.database import Database
from parley.store.records import CallRecord, ToolUseRecord, TurnRecord
from parley.store.tables import CALLS, TOOL_RUNS, TOOL_USES, TURNS

PAGE = 100
FORGOTTEN_AT_ONCE = 200
CUT_OFF = "The server was cut off; the call ended with it, or soon after."
_CALL = tuple(field.name for field in fields(CallRecord))


class Calls:
    """The tables ``calls``, ``turns`` and ``tool_uses``. What is written twice counts once: in a
    call nobody says two things, and no tool ends twice, in the same microsecond."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def began(self, call: CallRecord) -> None:
        # Its tools' runs have a journal of their own, which may have been quicker.
        runs = update(TOOL_RUNS).where(TOOL_RUNS.c.call_id == call.id).values(kept_call=call.id)
        async with self._database.write() as connection:
            if await _lacks(connection, CALLS, id=call.id):
                await connection.execute(CALLS.insert().values(**asdict(call)))
                await connection.execute(runs)

    async def ended(self, call_id: str, reason: str, at: datetime) -> None:
        """Who had the call says so: it stands, even if the call was given up before."""
        values = {"ended_at": at, "reason": reason, "detail": ""}
        async with self._database.write() as connection:
            await connection.execute(update(CALLS).where(CALLS.c.id == call_id).values(**values))

    async def seen(self, process: str, at: datetime) -> None:
        """The process is alive, and its calls with it."""
        theirs = and_(CALLS.c.process == process, CALLS.c.ended_at.is_(None))
        async with self._database.write() as connection:
            await connection.execute(update(CALLS).where(theirs).values(seen_at=at))

    async def cut_off(self, process: str) -> int:
        """End what a process that is gone had live, at the last sign of each; how many."""
        return await self._cut_off(CALLS.c.process == process, datetime.max.replace(tzinfo=UTC))

    async def give_up(self, before: datetime) -> int:
        """End what has shown no sign of life since ``before``, whose ever it was; how many."""
        return await self._cut_off(_seen_last() < before, before)

    async def forget(self, before: datetime) -> bool:
        """Delete calls that ended before then, with all that is known of them, oldest first.

        Whether there may be more: so many at a time go that nobody else waits for long.
        """
        over = select(CALLS.c.id).where(CALLS.c.ended_at < before)
        oldest = over.order_by(CALLS.c.ended_at).limit(FORGOTTEN_AT_ONCE)
        async with self._database.write() as connection:
            done = await connection.execute(delete(CALLS).where(CALLS.c.id.in_(oldest)))
            return done.rowcount >= FORGOTTEN_AT_ONCE

    async def _cut_off(self, which: ColumnElement[bool], before: datetime) -> int:
        said = select(func.max(TURNS.c.said_at)).where(TURNS.c.call_id == CALLS.c.id)
        used = select(func.max(TOOL_USES.c.ended_at)).where(TOOL_USES.c.call_id == CALLS.c.id)
        signs = (_seen_last(), said.scalar_subquery(), used.scalar_subquery())
        is_open = CALLS.c.ended_at.is_(None)
        ended = 0
        async with self._database.write() as connection:
            found = await connection.execute(select(CALLS.c.id, *signs).where(is_open, which))
            for call_id, *seen in found.all():
                last_at = max(at for at in seen if at is not None)
                if last_at >= before:
                    continue
                # On another server its end may be written just now.
                query = update(CALLS).where(CALLS.c.id == call_id, is_open)
                values = {"ended_at": last_at, "reason": "error", "detail": CUT_OFF}
                ended += (await connection.execute(query.values(**values))).rowcount
        return ended

    async def said(self, turn: TurnRecord) -> None:
        stages = json.dumps(dict(turn.stages)) if turn.stages else None
        known = {"call_id": turn.call_id, "role": turn.role, "said_at": turn.said_at}
        insert = TURNS.insert().values(**{**asdict(turn), "stages": stages})
        async with self._database.write() as connection:
            if await _lacks(connection, TURNS, **known):
                await connection.execute(insert)

    async def used(self, use: ToolUseRecord) -> None:
        known = {"call_id": use.call_id, "tool": use.tool, "ended_at": use.ended_at}
        async with self._database.write() as connection:
            if await _lacks(connection, TOOL_USES, **known):
                await connection.execute(TOOL_USES.insert().values(**asdict(use)))

    async def of(
        self, tenant: str, *, before: CallRecord | None = None, limit: int = PAGE
    ) -> list[CallRecord]:
        """The tenant's calls, newest first; ``before`` is the last of the page before."""
        query = select(CALLS).where(CALLS.c.tenant == tenant)
        if before:
            earlier = or_(CALLS.c.started_at < before.started_at, CALLS.c.id > before.id)
            # The first condition alone finds the place in the index.
            query = query.where(CALLS.c.started_at <= before.started_at, earlier)
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


def _seen_last() -> ColumnElement[datetime]:
    return func.coalesce(CALLS.c.seen_at, CALLS.c.started_at)


async def _lacks(connection: AsyncConnection, table: Table, **known: Any) -> bool:
    query = select(table).where(*(table.c[name] == value for name, value in known.items()))
    return (await connection.execute(query.limit(1))).first() is None


def _call(row: RowMapping) -> CallRecord:
    return CallRecord(**{name: row[name] for name in _CALL})


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
