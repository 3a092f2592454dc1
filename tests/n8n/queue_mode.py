"""n8n in queue mode: a main process, one that only takes webhooks and a worker that runs the
workflows, with Redis between them and everything in PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.n8n.installation import Installation
from tests.n8n.instance import N8n, free_port, of_its_own


class QueuedN8n(N8n):
    """Requests to webhooks go to its two doors in turn: the main process and the other one."""

    def __init__(
        self, installation: Installation, folder: Path, redis_url: str, database_url: str
    ) -> None:
        door, worker = free_port(), free_port()
        self.door_host = f"127.0.0.1:{door}"
        door_url = f"http://{self.door_host}"
        redis, database = urlsplit(redis_url), make_url(database_url)
        super().__init__(installation, folder, {
            "EXECUTIONS_MODE": "queue",
            "QUEUE_BULL_REDIS_HOST": "127.0.0.1",
            "QUEUE_BULL_REDIS_PORT": str(redis.port),
            "DB_TYPE": "postgresdb",
            "DB_POSTGRESDB_HOST": "127.0.0.1",
            "DB_POSTGRESDB_PORT": str(database.port),
            "DB_POSTGRESDB_DATABASE": str(database.database),
            "DB_POSTGRESDB_USER": str(database.username),
            "DB_POSTGRESDB_POOL_SIZE": "10",
            # What is registered elsewhere, such as for events of calls, leads to that door.
            "WEBHOOK_URL": f"{door_url}/",
        })  # fmt: skip
        self._database_url = database_url
        self._doors = itertools.cycle((self.url, door_url))
        self._door = self._process("webhook", self._environment | of_its_own(door), door_url)
        health = {"QUEUE_HEALTH_CHECK_ACTIVE": "true", "QUEUE_HEALTH_CHECK_PORT": str(worker)}
        self.worker = self._process(
            "worker",
            self._environment | of_its_own(free_port()) | health,
            f"http://127.0.0.1:{worker}",
        )

    def hook_url(self) -> str:
        return next(self._doors)

    async def start(self) -> None:
        # By itself: it makes the tables of the database.
        await self._main.start()
        await asyncio.gather(self._door.start(), self.worker.start())

    async def stop(self, how: int = signal.SIGTERM) -> None:
        await asyncio.gather(*(each.stop(how) for each in (self._door, self.worker, self._main)))

    def runs(self, process: str) -> int:
        """How many workflows that process has run: "worker", "webhook" or "start"."""
        log = (self.folder / f"{process}.log").read_text()
        return len(re.findall("Worker finished execution", log))

    @asynccontextmanager
    async def database(self) -> AsyncIterator[AsyncConnection]:
        engine = create_async_engine(
            make_url(self._database_url).set(drivername="postgresql+asyncpg"),
            isolation_level="AUTOCOMMIT",
        )
        try:
            async with engine.connect() as connection:
                yield connection
        finally:
            await engine.dispose()


class Barriers:
    """Hold two callers up in the table of appointments: the one whose row is to be written, and
    the one whose row is to become booked. Each waits for a lock that we have."""

    WRITES, BOOKS = 1, 2

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def set_up(self, writer: str, booker: str) -> None:
        tables = await self._value(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'moved_from'"
        )
        await self._do(f"""
            CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'INSERT' AND NEW.name = '{writer}' THEN
                    PERFORM pg_advisory_xact_lock({self.WRITES});
                ELSIF TG_OP = 'UPDATE' AND NEW.name = '{booker}' AND NEW.state = 'booked' THEN
                    PERFORM pg_advisory_xact_lock({self.BOOKS});
                END IF;
                RETURN NEW;
            END $$""")
        await self._do(
            f'CREATE TRIGGER wait_for_test BEFORE INSERT OR UPDATE ON "{tables}" '
            "FOR EACH ROW EXECUTE FUNCTION wait_for_test()"
        )
        for barrier in (self.WRITES, self.BOOKS):
            await self._do(f"SELECT pg_advisory_lock({barrier})")

    async def reached(self, barrier: int) -> None:
        """Return when somebody stands before it."""
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            f"AND objid = {barrier}"
        )
        for _ in range(1500):
            if await self._value(waiting):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"nobody came to barrier {barrier}")

    async def lift(self, barrier: int) -> None:
        await self._do(f"SELECT pg_advisory_unlock({barrier})")

    async def tear_down(self) -> None:
        await self._do("SELECT pg_advisory_unlock_all()")
        await self._do("DROP FUNCTION wait_for_test CASCADE")

    async def _do(self, statement: str) -> None:
        await self._connection.execute(text(statement))

    async def _value(self, query: str) -> object:
        return (await self._connection.execute(text(query))).scalar()
