"""Whether a database has the tables of this version, and the steps that give it them."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from parley.core.errors import StoreFailed
from parley.core.log import get_logger
from parley.store.database import Database
from parley.store.tables import METADATA, SCHEMA_VERSION

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory

log = get_logger(__name__)

# Any number, the same in every Parley: PostgreSQL lets one of them change the schema at a time.
_UPGRADE_LOCK = 0x9A71E4


class _Newer(Exception):
    """The database has been changed by a version of Parley that this one does not know."""


async def current_version(database: Database) -> str:
    """The version of the database's schema; "" when it has no tables of ours."""
    async with database.read() as connection:
        return await connection.run_sync(_version)


async def upgrade(database: Database) -> tuple[str, str]:
    """Bring the schema up to date; the versions before and after.

    Safe to run by several processes at once: one does the work, the others find it done.
    """
    before = await current_version(database)
    if before == SCHEMA_VERSION:
        return before, before
    async with database.change() as connection:
        try:
            await connection.run_sync(_run_migrations)
        except _Newer as error:
            raise StoreFailed(
                f"The database {database.place} was made by a newer Parley (schema {before}; "
                f"this one knows {SCHEMA_VERSION}).",
                hint="Install that version again, or name another database in PARLEY_DATABASE_URL.",
            ) from error
    log.info("schema_upgraded", before=before or "none", after=SCHEMA_VERSION)
    return before, SCHEMA_VERSION


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found or "")


def _run_migrations(connection: Connection) -> None:
    # Alembic takes a second to import, and nearly every start needs none of it.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})"))
    with ExitStack() as stack:
        folder = stack.enter_context(as_file(files("parley.store") / "migrations"))
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        known = {revision.revision for revision in script.walk_revisions()}
        if (version := _version(connection)) and version not in known:
            raise _Newer
        steps = _Steps(script)
        environment = stack.enter_context(EnvironmentContext(config, script, fn=steps.upgrade))
        environment.configure(
            connection=connection, target_metadata=METADATA, transactional_ddl=True
        )
        environment.run_migrations()


class _Steps:
    """Which steps lead from the database's version to the newest."""

    def __init__(self, script: ScriptDirectory) -> None:
        self._script = script

    def upgrade(self, revision: str, _context: MigrationContext) -> list[RevisionStep]:
        return list(self._script._upgrade_revs("head", revision))  # pyright: ignore[reportPrivateUsage]
