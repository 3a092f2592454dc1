"""The database: one writer at a time, many readers, and errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from parley.core.errors import BadSettings, ParleyError, StoreFailed
from parley.core.extras import install_hint

BUSY_TIMEOUT_MS = 5000
CONNECT_LIMIT_S = 5.0
ANSWER_LIMIT_S = 10.0
"""How long a PostgreSQL server may say nothing: calls wait for it to be let in."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_WRITES = "parley_writes"

# What SQLite says, and what to do about it.
_CURES = {
    "unable to open database file": "Its folder must exist and be writable: see PARLEY_DATA_DIR "
    "and PARLEY_DATABASE_URL.",
    "readonly database": "Let the user that runs Parley write to the file and its folder.",
    "database is locked": "Another program holds it: end that one, or try again in a moment.",
    "disk is full": "Make room on the disk.",
    "not a database": "Name another file in PARLEY_DATABASE_URL, or move this one away.",
    "malformed": "The file is damaged: put a backup in its place.",
    "no such table": "Run parley db upgrade.",
}
_OTHER_CURE = "PARLEY_DATABASE_URL says where it is; the server there must answer."


class Database:
    """Connections to one database. ``place`` is where it is, without a password.

    Writing takes a lock of this process first and the database's own at once, so that two writers
    wait for each other and never fail half-way.
    """

    def __init__(self, engine: AsyncEngine, *, anchor: sqlite3.Connection | None = None) -> None:
        self._engine = engine
        self._writing = asyncio.Lock()
        # Memory has one connection for reading and writing, and one that keeps it alive.
        self._anchor = anchor
        self.place = _shown(engine.url)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that sees one state of everything."""
        async with contextlib.AsyncExitStack() as stack:
            if self._anchor:
                await stack.enter_async_context(self._writing)
            with self._failures_told():
                connection = await stack.enter_async_context(self._engine.connect())
                await stack.enter_async_context(connection.begin())
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that nobody else's can overlap."""
        async with self._writing, self._written(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that changes tables, and may take its time."""
        if self._engine.url.get_backend_name() == "sqlite":
            async with self.write() as connection:
                yield connection
            return
        engine = create_async_engine(self._engine.url)
        try:
            async with self._written(engine) as connection:
                yield connection
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def _written(self, engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
        with self._failures_told():
            async with engine.connect() as connection:
                await connection.execution_options(**{_WRITES: True})
                async with connection.begin():
                    yield connection

    async def close(self) -> None:
        await self._engine.dispose()
        if self._anchor:
            self._anchor.close()

    @contextlib.contextmanager
    def _failures_told(self) -> Generator[None]:
        try:
            yield
        except (DBAPIError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: DBAPIError | OSError) -> StoreFailed:
        said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        said = said or "it does not answer in time"
        cure = next((cure for words, cure in _CURES.items() if words in said), _OTHER_CURE)
        return StoreFailed(f"The database {self.place} can't be used: {said}.", hint=cure)


def is_refusal(error: ParleyError) -> bool:
    """Whether the database is there, and will never take what it was given."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    # What PostgreSQL calls a data exception or a violated constraint; SQLAlchemy tells only some.
    sql_state = str(getattr(cause.orig, "sqlstate", ""))
    return isinstance(cause, DataError | IntegrityError) or sql_state.startswith(("22", "23"))


def connect(url: str, data_dir: Path) -> Database:
    """The database at ``url``; "" is ``parley.db`` in ``data_dir``. Nothing is opened yet."""
    place = _place(url, data_dir)
    if place.get_backend_name() == "sqlite":
        return _sqlite(place)
    try:
        limits = {"timeout": CONNECT_LIMIT_S, "command_timeout": ANSWER_LIMIT_S}
        return Database(create_async_engine(place, pool_pre_ping=True, connect_args=limits))
    except ImportError as error:
        raise BadSettings(
            "PARLEY_DATABASE_URL names a PostgreSQL database, and its driver is not installed.",
            hint=install_hint("postgres"),
        ) from error


def _place(url: str, data_dir: Path) -> URL:
    if not url:
        return URL.create(_DRIVERS["sqlite"], database=str(data_dir / "parley.db"))
    try:
        given = make_url(url)
        return given.set(drivername=_DRIVERS[given.get_backend_name()])
    except (ArgumentError, NoSuchModuleError, KeyError, ValueError) as error:
        raise BadSettings(
            "PARLEY_DATABASE_URL can't be read.",
            hint="Write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        ) from error


def _sqlite(place: URL) -> Database:
    if place.database in (None, "", ":memory:"):
        return _in_memory(place)
    _make_folder(Path(str(place.database)))
    engine = create_async_engine(place)
    _hook(engine)
    return Database(engine)


def _in_memory(place: URL) -> Database:
    # A connection is lost when a task is cancelled in the middle, and memory with the last one.
    name = f"file:parley-{secrets.token_hex(8)}"
    shared = {"mode": "memory", "cache": "shared"}
    anchor = sqlite3.connect(f"{name}?{urlencode(shared)}", uri=True, check_same_thread=False)
    url = place.set(database=name, query={**shared, "uri": "true"})
    engine = create_async_engine(url, poolclass=StaticPool)
    _hook(engine)
    return Database(engine, anchor=anchor)


def _hook(engine: AsyncEngine) -> None:
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailed(
            f"The folder {file.parent} can't be made: {error.strerror}.",
            hint="Set PARLEY_DATA_DIR to a folder that Parley may write to.",
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Python's driver would begin transactions by its own rules, too late and never for reading.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _shown(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return "in memory" if url.query.get("mode") == "memory" else str(url.database)
    return url.set(drivername=url.get_backend_name(), password=None).render_as_string()
