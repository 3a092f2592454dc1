"""What has been charged already, so that what is told twice counts once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.store.records import MEASURES, Amounts
from parley.store.tables import CHARGES


async def charged_for(connection: AsyncConnection, charge_id: str) -> Amounts | None:
    """How much has been charged under the id; None if nobody ever told of it."""
    columns = [CHARGES.c[measure] for measure in MEASURES]
    found = await connection.execute(select(*columns).where(CHARGES.c.id == charge_id))
    row = found.one_or_none()
    return Amounts(*(int(value) for value in row)) if row else None


async def note_charged(connection: AsyncConnection, charge_id: str, total: Amounts) -> None:
    """So much has been charged under it altogether. Its tenant's row must be held."""
    values: dict[str, Any] = {measure: getattr(total, measure) for measure in MEASURES}
    values["charged_at"] = datetime.now(UTC)
    here = update(CHARGES).where(CHARGES.c.id == charge_id)
    if not (await connection.execute(here.values(**values))).rowcount:
        await connection.execute(CHARGES.insert().values(id=charge_id, **values))
