"""A PostgreSQL server that falls silent fails what waits for it, and is used again later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from parley.core.errors import StoreFailed
from parley.settings import Settings
from parley.store import database
from parley.store.opening import open_store


class Line:
    """Carries bytes to a server and back, as long as it is ``open``."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.open = asyncio.Event()
        self._carrying: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncGenerator[int]:
        """Gives the port of its near end."""
        near = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        try:
            yield near.sockets[0].getsockname()[1]
        finally:
            near.close()
            for each in self._carrying:
                each.cancel()
            await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        await self.open.wait()
        answers, asks = await asyncio.open_connection(self._host, self._port)
        async with AsyncExitStack() as stack:
            stack.callback(writer.close)
            stack.callback(asks.close)
            await asyncio.gather(self._carry(reader, asks), self._carry(answers, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            await self.open.wait()
            writer.write(piece)
        writer.close()


async def test_a_server_that_falls_silent_holds_nothing_up_for_ever(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_LIMIT_S", 2.0)
    monkeypatch.setattr(database, "ANSWER_LIMIT_S", 1.0)
    there = make_url(postgres_url)
    assert there.host and there.port
    line = Line(there.host, there.port)
    line.open.set()
    async with line.laid() as port:
        url = there.set(port=port).render_as_string(hide_password=False)
        async with open_store(Settings(data_dir=tmp_path, database_url=url)) as store:
            line.open.clear()
            with pytest.raises(StoreFailed, match="does not answer in time"):
                await store.tenants.add("acme")
            line.open.set()

            await store.tenants.add("acme")

            assert [tenant.name for tenant in await store.tenants.all()] == ["acme", "default"]
