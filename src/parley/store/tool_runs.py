"""Every run of a tool, each tenant's for itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, and_, case, delete, or_, select, update

from parley.store.database import Database
from parley.store.records import ANY_RUN, RunQuery, ToolRunEnd, ToolRunRecord
from parley.store.tables import CALLS, TOOL_RUNS
from parley.store.tenants import ensure_tenant

PAGE = 100
FORGOTTEN_AT_ONCE = 200
CUT_OFF = "cut_off"
_CUT_OFF_SAYS = "Parley ended before the tool did, and no answer came later."


class ToolRunShelf:
    """The table ``tool_runs``. What is written twice counts once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def began(self, run: ToolRunRecord) -> None:
        values = {**asdict(run), "arguments": json.dumps(run.arguments, default=str)}
        values["kept_call"] = select(CALLS.c.id).where(CALLS.c.id == run.call_id).scalar_subquery()
        there = select(TOOL_RUNS.c.id).where(TOOL_RUNS.c.id == run.id)
        async with self._database.write() as connection:
            if (await connection.execute(there)).first() is None:
                await ensure_tenant(connection, run.tenant)
                await connection.execute(TOOL_RUNS.insert().values(**values))

    async def owned(self, run_id: str, owner: str) -> None:
        """Whose secret signs what the tool sends later."""
        query = update(TOOL_RUNS).where(TOOL_RUNS.c.id == run_id).values(owner=owner)
        async with self._database.write() as connection:
            await connection.execute(query)

    async def ended(self, end: ToolRunEnd) -> None:
        """What it ended with; an answer that came after that end stays."""
        is_open = TOOL_RUNS.c.state == "open"
        values: dict[str, Any] = {
            name: case((is_open, value), else_=TOOL_RUNS.c[name])
            for name, value in asdict(end).items()
            if name in ("state", "answer")
        }
        values |= {k: v for k, v in asdict(end).items() if k not in ("id", *values)}
        here = and_(TOOL_RUNS.c.id == end.id, TOOL_RUNS.c.ended_at.is_(None))
        async with self._database.write() as connection:
            await connection.execute(update(TOOL_RUNS).where(here).values(**values))

    async def came_late(self, run_id: str, answer: str) -> bool:
        """Keep an answer that nobody waits for; False when the run has one already."""
        lacks_one = TOOL_RUNS.c.state.in_(("open", "failed", "cancelled"))
        query = update(TOOL_RUNS).where(TOOL_RUNS.c.id == run_id, lacks_one)
        async with self._database.write() as connection:
            done = await connection.execute(query.values(state="late", answer=answer))
            return done.rowcount > 0

    async def give_up(self, now: datetime) -> int:
        """Close what should have ended by now: whoever ran it is gone. How many there were."""
        over = and_(TOOL_RUNS.c.state == "open", TOOL_RUNS.c.expires_at < now)
        values = {"state": "failed", "error_code": CUT_OFF, "error": _CUT_OFF_SAYS, "ended_at": now}
        async with self._database.write() as connection:
            return (
                await connection.execute(update(TOOL_RUNS).where(over).values(**values))
            ).rowcount

    async def forget(self, before: datetime) -> bool:
        """Delete runs that began before then and belong to no call that is kept, oldest first.

        Whether there may be more: so many at a time go that nobody else waits for long.
        """
        alone = and_(TOOL_RUNS.c.kept_call.is_(None), TOOL_RUNS.c.started_at < before)
        oldest = select(TOOL_RUNS.c.id).where(alone).order_by(TOOL_RUNS.c.started_at)
        these = TOOL_RUNS.c.id.in_(oldest.limit(FORGOTTEN_AT_ONCE))
        async with self._database.write() as connection:
            done = await connection.execute(delete(TOOL_RUNS).where(these))
            return done.rowcount >= FORGOTTEN_AT_ONCE

    async def get(self, run_id: str) -> ToolRunRecord | None:
        """The run, whose ever it is."""
        query = select(TOOL_RUNS).where(TOOL_RUNS.c.id == run_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            return _run(row) if row else None

    async def of(
        self,
        tenant: str,
        wanted: RunQuery = ANY_RUN,
        *,
        before: ToolRunRecord | None = None,
        limit: int = PAGE,
    ) -> Sequence[ToolRunRecord]:
        """The tenant's runs, newest first; ``before`` is the last of the page before."""
        query = _narrowed(select(TOOL_RUNS).where(TOOL_RUNS.c.tenant == tenant), wanted)
        if before:
            earlier = or_(TOOL_RUNS.c.started_at < before.started_at, TOOL_RUNS.c.id > before.id)
            # The first condition alone finds the place in the index.
            query = query.where(TOOL_RUNS.c.started_at <= before.started_at, earlier)
        query = query.order_by(TOOL_RUNS.c.started_at.desc(), TOOL_RUNS.c.id).limit(limit)
        async with self._database.read() as connection:
            return [_run(row) for row in (await connection.execute(query)).mappings()]


def _narrowed(query: Select[Any], wanted: RunQuery) -> Select[Any]:
    for name, value in asdict(wanted).items():
        if value:
            query = query.where(TOOL_RUNS.c[name] == value)
    return query


def _run(row: RowMapping) -> ToolRunRecord:
    values: dict[str, Any] = {name: row[name] for name in row if name != "kept_call"}
    return ToolRunRecord(**{**values, "arguments": json.loads(row["arguments"])})
