"""Routes with keys before them, over a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI

from parley.access.caller import OPEN_SCOPES, Scope
from parley.access.opening import Access, open_access
from parley.api.errors import install_error_handlers
from parley.settings import Settings
from parley.store.opening import Store, open_store


@dataclass
class KeyedOffice:
    """A web application that wants keys."""

    store: Store
    access: Access
    web: FastAPI

    def open(self, router: APIRouter) -> None:
        self.web.include_router(router)

    async def client(
        self, tenant: str, scopes: Sequence[Scope] = tuple(OPEN_SCOPES)
    ) -> httpx.AsyncClient:
        """Somebody with a key of the tenant's; "" has none."""
        headers: dict[str, str] = {}
        if tenant:
            made = await self.access.keys.create(tenant, tenant=tenant, scopes=scopes)
            headers = {"Authorization": f"Bearer {made.token}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.web), base_url="http://parley", headers=headers
        )


@asynccontextmanager
async def keyed_office(folder: Path) -> AsyncIterator[KeyedOffice]:
    settings = Settings(data_dir=folder, database_url="sqlite://")
    async with open_store(settings) as store, open_access(settings, store) as access:
        web = FastAPI()
        install_error_handlers(web)
        yield KeyedOffice(store, access, web)
