"""Opening the store: its tables, its migrations, and what it says when it can't."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from parley.core.errors import BadSettings, StoreFailed
from parley.settings import Settings
from parley.store import database as database_module
from parley.store import schema
from parley.store.opening import open_database, open_store
from parley.store.records import CallRecord, KeyRecord
from parley.store.tables import METADATA, SCHEMA_VERSION

KEY = KeyRecord("key_1", "acme", "web", "pk_1", "0" * 64, ("speech",), datetime.now(UTC))

CALL = CallRecord("call_1", "acme", "a", "webrtc", "inbound", "", datetime.now(UTC))


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def test_what_was_kept_is_there_after_the_next_opening(settings: Settings) -> None:
    async with open_store(settings) as store:
        await store.keys.add(KEY)

    async with open_store(settings) as store:
        kept = await store.keys.all()

    assert kept == [KEY]


async def test_migrations_end_in_the_tables_that_the_code_uses(settings: Settings) -> None:
    async with open_store(settings), open_database(settings) as database, database.read() as found:
        differing = await found.run_sync(differences)

    assert differing == []


def test_the_code_names_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(files("parley.store") / "migrations"))

    head = ScriptDirectory.from_config(config).get_current_head()

    assert head == SCHEMA_VERSION


async def test_no_migration_runs_when_the_schema_is_current(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(settings):
        pass
    monkeypatch.delattr(schema, "_run_migrations")

    async with open_store(settings) as store:
        assert await store.keys.all() == []


async def test_calls_of_an_older_parley_are_kept(settings: Settings) -> None:
    database_file = settings.data_dir / "parley.db"
    async with open_store(settings) as store:
        await store.calls.began(CALL)
    older = sqlite3.connect(database_file, isolation_level=None)
    older.executescript(
        """
        DROP TABLE charges;
        DROP INDEX calls_open;
        DROP INDEX calls_by_end;
        ALTER TABLE calls DROP COLUMN detail;
        ALTER TABLE calls DROP COLUMN process;
        ALTER TABLE calls DROP COLUMN seen_at;
        DROP TABLE tool_runs;
        DROP TABLE webhooks;
        ALTER TABLE tenants DROP COLUMN signing_secret;
        DROP TABLE tool_uses;
        ALTER TABLE turns DROP COLUMN stages;
        ALTER TABLE turns DROP COLUMN interrupted;
        ALTER TABLE calls DROP COLUMN callee;
        INSERT INTO turns (call_id, role, text, said_at) VALUES ('call_1', 'user', 'Hello?', 0);
        UPDATE alembic_version SET version_num = '0001';
        """
    )
    older.close()

    async with open_store(settings) as store:
        call = await store.calls.get("acme", "call_1")
        (turn,) = await store.calls.turns("acme", "call_1")
        uses = await store.calls.tool_uses("acme", "call_1")

    assert (turn.text, turn.stages, turn.interrupted) == ("Hello?", {}, False)
    assert uses == []
    assert call is not None and call.callee == ""


async def test_a_database_of_a_newer_parley_is_left_alone(settings: Settings) -> None:
    async with open_store(settings):
        pass
    async with open_database(settings) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreFailed, match=r"newer Parley .schema 9999.*Install that version"):
        async with open_store(settings):
            pass


async def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")

    with pytest.raises(StoreFailed, match=r"can't be made.*PARLEY_DATA_DIR"):
        async with open_store(Settings(data_dir=tmp_path / "taken" / "data")):
            pass


async def test_a_file_that_cannot_be_opened_is_told_with_what_to_do(settings: Settings) -> None:
    (settings.data_dir / "parley.db").mkdir(parents=True)

    with pytest.raises(StoreFailed, match=r"unable to open.*must exist and be writable"):
        async with open_store(settings):
            pass


async def test_a_file_that_is_no_database_is_told_with_what_to_do(settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "parley.db").write_text("once upon a time " * 100)

    with pytest.raises(StoreFailed, match=r"not a database.*Name another file"):
        async with open_store(settings):
            pass


async def test_a_database_that_is_held_by_another_program_is_told_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 50)
    async with open_store(settings) as store:
        holder = sqlite3.connect(settings.data_dir / "parley.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreFailed, match=r"locked.*Another program holds it"):
            await store.keys.add(KEY)

        holder.close()
        assert await store.keys.add(KEY)


async def test_reading_goes_on_while_somebody_writes(settings: Settings) -> None:
    async with open_store(settings) as store:
        holder = sqlite3.connect(settings.data_dir / "parley.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        found = await store.keys.all()

        assert found == []
        holder.close()


@pytest.mark.parametrize(
    "url", ["mysql://host/name", "postgresql://", "parley.db", "sqlite:/parley.db"]
)
def test_a_url_of_another_kind_is_no_database(url: str) -> None:
    with pytest.raises(ValueError, match="PARLEY_DATABASE_URL"):
        Settings.model_validate({"PARLEY_DATABASE_URL": url})


async def test_a_url_that_cannot_be_read_is_told_without_its_password(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://me:secret@host:port/name")

    with pytest.raises(BadSettings, match="PARLEY_DATABASE_URL can't be read") as told:
        async with open_store(settings):
            pass

    assert "secret" not in str(told.value)


async def test_a_server_that_does_not_answer_is_told_with_what_to_do(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="postgresql://me:secret@127.0.0.1:9/name")

    with pytest.raises(StoreFailed, match="must answer") as told:
        async with open_store(settings):
            pass

    assert "secret" not in str(told.value)


async def test_what_is_in_memory_leaves_no_file(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store(settings.model_copy(update={"database_url": "sqlite://"})) as store:
        await store.keys.add(KEY)

    assert not any(left_in(tmp_path))


# SQLAlchemy leaves a connection whose opening was cancelled to the collector, which closes it.
# From 3.13 on Python tells of that.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
async def test_what_is_in_memory_outlives_a_task_that_is_cancelled_in_the_middle(
    settings: Settings,
) -> None:
    async with open_store(settings.model_copy(update={"database_url": "sqlite://"})) as store:
        await store.keys.add(KEY)
        for _ in range(20):
            writing = asyncio.create_task(store.keys.used({"key_1": KEY.created_at}))
            for _ in range(5):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

        kept = await store.keys.all()
    gc.collect()

    assert [key.id for key in kept] == ["key_1"]
