"""Whom to tell of calls, each tenant's for itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, delete, func, select

from parley.store.database import Database
from parley.store.records import WebhookRecord
from parley.store.tables import WEBHOOKS
from parley.store.tenants import ensure_tenant


class Webhooks:
    """The table ``webhooks``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, webhook: WebhookRecord, *, most: int) -> bool:
        """Keep it, and make its tenant if need be; False when the tenant has ``most`` already."""
        theirs = select(func.count()).where(WEBHOOKS.c.tenant == webhook.tenant)
        values = {**asdict(webhook), "events": ",".join(webhook.events)}
        async with self._database.write() as connection:
            if int((await connection.execute(theirs)).scalar_one()) >= most:
                return False
            await ensure_tenant(connection, webhook.tenant)
            await connection.execute(WEBHOOKS.insert().values(**values))
        return True

    async def all(self, tenant: str = "") -> list[WebhookRecord]:
        """Every webhook, or every one of one tenant, oldest first."""
        query = select(WEBHOOKS).order_by(WEBHOOKS.c.created_at, WEBHOOKS.c.id)
        if tenant:
            query = query.where(WEBHOOKS.c.tenant == tenant)
        async with self._database.read() as connection:
            return [_webhook(row) for row in (await connection.execute(query)).mappings()]

    async def remove(self, tenant: str, webhook_id: str) -> bool:
        """Whether the tenant had one of that id."""
        theirs = delete(WEBHOOKS).where(WEBHOOKS.c.tenant == tenant, WEBHOOKS.c.id == webhook_id)
        async with self._database.write() as connection:
            return (await connection.execute(theirs)).rowcount > 0


def _webhook(row: RowMapping) -> WebhookRecord:
    values: dict[str, Any] = {**row, "events": tuple(row["events"].split(","))}
    return WebhookRecord(**values)
